{{/* The release's own name, short enough for every suffix: 63 characters are the most of a label. */}}
{{- define "domicile.fullname" -}}
{{- $name := .Release.Name -}}
{{- if not (contains "domicile" $name) -}}
{{- $name = printf "%s-domicile" $name -}}
{{- end -}}
{{- $name | trunc 38 | trimSuffix "-" -}}
{{- end -}}

{{/* What selects pods; it never changes. Takes a dict of root, component and, where it is not the service itself, name. */}}
{{- define "domicile.selector" -}}
app.kubernetes.io/name: {{ .name | default "domicile" }}
app.kubernetes.io/instance: {{ .root.Release.Name }}
{{- with .component }}
app.kubernetes.io/component: {{ . }}
{{- end }}
{{- end -}}

{{/* The labels of every object. */}}
{{- define "domicile.labels" -}}
{{ include "domicile.selector" . }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/part-of: domicile
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" }}
{{- end -}}

{{/* name, namespace and labels of an object. Takes a dict of root, suffix and component. An object stands in the region's own
     namespace, whatever helm was told. */}}
{{- define "domicile.metadata" -}}
name: {{ include "domicile.fullname" .root }}{{ with .suffix }}-{{ . }}{{ end }}
namespace: {{ .root.Values.deployment.namespace }}
labels:
  {{- include "domicile.labels" . | nindent 2 }}
{{- end -}}

{{/* The roles that run: a JSON list of role, component and settings. */}}
{{- define "domicile.roles" -}}
{{- $chart := .Values.chart -}}
{{- if eq $chart.mode "single" -}}
{{- list (dict "role" "run" "settings" $chart.serve "answers" true) | toJson -}}
{{- else -}}
{{- list (dict "role" "serve" "settings" $chart.serve "answers" true) (dict "role" "work" "settings" $chart.work "answers" false) | toJson -}}
{{- end -}}
{{- end -}}

{{/* The component that answers requests. */}}
{{- define "domicile.answering" -}}
{{- ternary "run" "serve" (eq .Values.chart.mode "single") -}}
{{- end -}}

{{/* The port of a listener such as 0.0.0.0:8080. */}}
{{- define "domicile.port" -}}
{{- splitList ":" . | last -}}
{{- end -}}

{{/* The host of a URL, and its port, with a colon between. */}}
{{- define "domicile.authority" -}}
{{- $url := urlParse . -}}
{{- $host := lower $url.host -}}
{{- if not (regexMatch ":[0-9]+$" $host) -}}
{{- $host = printf "%s:%s" $host (ternary "80" "443" (eq $url.scheme "http")) -}}
{{- end -}}
{{- $host -}}
{{- end -}}

{{- define "domicile.publicHost" -}}
{{- regexReplaceAll ":[0-9]+$" (include "domicile.authority" .Values.http.publicUrl) "" -}}
{{- end -}}

{{/* The name of the cluster of CloudNativePG, from the database's host. */}}
{{- define "domicile.cluster" -}}
{{- splitList "." .Values.database.host | first | trimSuffix "-rw" -}}
{{- end -}}

{{/* Whether the first migration is a job of the release itself: what it needs, a hook before the release cannot have. */}}
{{- define "domicile.firstMigration" -}}
{{- if and .Release.IsInstall (or .Values.chart.postgres.enabled .Values.chart.externalSecrets.enabled) -}}true{{- end -}}
{{- end -}}
