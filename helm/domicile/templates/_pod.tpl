{{/* What every pod has. Takes a dict of root, account, config and, for the service's own pods, role. */}}
{{- define "domicile.podSpec" -}}
{{- $chart := .root.Values.chart -}}
serviceAccountName: {{ .account }}
automountServiceAccountToken: false
enableServiceLinks: false
securityContext:
  runAsNonRoot: true
  runAsUser: 65532
  runAsGroup: 65532
  fsGroup: 65532
  fsGroupChangePolicy: OnRootMismatch
  seccompProfile:
    type: RuntimeDefault
{{- with $chart.imagePullSecrets }}
imagePullSecrets:
  {{- range . }}
  - name: {{ . }}
  {{- end }}
{{- end }}
{{- with $chart.priorityClass }}
priorityClassName: {{ . }}
{{- end }}
{{- with $chart.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $chart.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{/* What every container has. Takes a dict of root and resources. */}}
{{- define "domicile.container" -}}
image: {{ printf "%s@%s" .root.Values.deployment.imageRepository .root.Values.deployment.imageDigest }}
imagePullPolicy: IfNotPresent
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  runAsNonRoot: true
  privileged: false
  capabilities:
    drop: [ALL]
  seccompProfile:
    type: RuntimeDefault
resources:
  requests:
    {{- toYaml .resources.requests | nindent 4 }}
  limits:
    memory: {{ .resources.memoryLimit }}
{{- end -}}
