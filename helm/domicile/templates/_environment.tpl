{{/* The region's file, with every default: it is what the processes compare their settings with. */}}
{{- define "domicile.region" -}}
{{- omit .Values "regions" "global" | toYaml -}}
{{- end -}}

{{/* The public list of regions: all of them where they were handed in, else this one. */}}
{{- define "domicile.directory" -}}
{{- $own := dict "id" .Values.region.id "name" .Values.region.name "install_url" (printf "%s/install" (trimSuffix "/" .Values.http.publicUrl)) "zoom_clusters" .Values.region.zoomClusters -}}
{{- dict "regions" (.Values.regions | default (list $own)) | toYaml -}}
{{- end -}}

{{/* Every variable that the region's file determines, as `domicile region env` has it: a JSON list of name and either value
     or secret. */}}
{{- define "domicile.variables" -}}
{{- $v := .Values -}}
{{- $r := $v.region -}}
{{- $zoom := $v.zoom -}}
{{- $linking := $zoom.apps.linking -}}
{{- $bot := $zoom.apps.bot | default dict -}}
{{- $chat := $linking.chat | default $bot.chat | default dict -}}
{{- $app := $v.app -}}
{{- $jwt := $app.identity.jwt | default dict -}}
{{- $credentials := $v.objects.credentials | default dict -}}
{{- $identity := $credentials.webIdentity | default dict -}}
{{- $key := $credentials.accessKey | default dict -}}
{{- $encryption := $v.objects.encryption | default dict -}}
{{- $keys := list -}}
{{- range $v.vault.keys -}}{{- if .awsKms -}}{{- $keys = append $keys (printf "%s:aws-kms:%s" .id .awsKms) -}}{{- end -}}{{- end -}}
{{- $calls := "" -}}
{{- if hasKey $zoom "calls" -}}{{- $calls = join ", " $zoom.calls | default "none" -}}{{- end -}}
{{- $texts := list
  (list "DOMICILE_REGION_ID" $r.id)
  (list "DOMICILE_REGION_NAME" $r.name)
  (list "DOMICILE_REGION_ZOOM_CLUSTERS" (join "," $r.zoomClusters))
  (list "DOMICILE_REGION_UNKNOWN_CLUSTER" $r.unknownCluster)
  (list "DOMICILE_REGION_ADMISSION" $r.admission)
  (list "DOMICILE_REGION_FILE" $r.file)
  (list "DOMICILE_REGION_DIRECTORY_FILE" $r.directoryFile)
  (list "DOMICILE_HTTP_PUBLIC_URL" $v.http.publicUrl)
  (list "DOMICILE_HTTP_PUBLIC_LISTEN" $v.http.publicListen)
  (list "DOMICILE_HTTP_APP_LISTEN" $v.http.appListen)
  (list "DOMICILE_HTTP_OPS_LISTEN" $v.http.opsListen)
  (list "DOMICILE_ZOOM_CLIENT_ID" $linking.clientId)
  (list "DOMICILE_ZOOM_OAUTH_URL" $zoom.oauthUrl)
  (list "DOMICILE_ZOOM_API_URL" $zoom.apiUrl)
  (list "DOMICILE_ZOOM_HOSTS" (join "," $zoom.hosts))
  (list "DOMICILE_ZOOM_CALLS" $calls)
  (list "DOMICILE_ZOOM_DOMAIN_PROOF" $zoom.domainProof)
  (list "DOMICILE_BOT_ROBOT_JID" $chat.robotJid)
  (list "DOMICILE_BOT_CLIENT_ID" $bot.clientId)
  (list "DOMICILE_INTAKE_MAX_AGE_SECONDS" ($v.intake.maxAgeSeconds | int64 | toString))
  (list "DOMICILE_INTAKE_MAX_AHEAD_SECONDS" ($v.intake.maxAheadSeconds | int64 | toString))
  (list "DOMICILE_INTAKE_BODY_LIMIT_BYTES" ($v.intake.bodyLimitBytes | int64 | toString))
  (list "DOMICILE_OBJECTS_URL" $v.objects.url)
  (list "DOMICILE_APP_START_URL" $app.startUrl)
  (list "DOMICILE_APP_RETURN_URLS" (join "," $app.returnUrls))
  (list "DOMICILE_APP_EVENTS_URL" $app.eventsUrl)
  (list "DOMICILE_APP_IDENTITY" $app.identity.mode)
  (list "DOMICILE_APP_JWT_ISSUER" $jwt.issuer)
  (list "DOMICILE_APP_JWT_AUDIENCE" $jwt.audience)
  (list "DOMICILE_APP_JWT_JWKS_URL" $jwt.jwksUrl)
  (list "DOMICILE_APP_JWT_ALGORITHMS" (join "," $jwt.algorithms))
  (list "DOMICILE_APP_JWT_COOKIE" $jwt.cookie)
  (list "DOMICILE_APP_JWT_HEADER" $jwt.header)
  (list "DOMICILE_APP_JWT_ORG_CLAIM" $jwt.orgClaim)
  (list "DOMICILE_EGRESS_ALLOW" (join "," $v.egress.allow))
  (list "OTEL_EXPORTER_OTLP_ENDPOINT" $v.telemetry.otlpEndpoint)
  (list "RUST_LOG" $v.telemetry.logFilter)
  (list "AWS_REGION" $v.objects.region)
  (list "AWS_ENDPOINT_URL_S3" $v.objects.endpoint)
  (list "AWS_ENDPOINT_URL_KMS" $v.vault.endpoint)
  (list "AWS_ROLE_ARN" $identity.roleArn)
  (list "AWS_ROLE_SESSION_NAME" $identity.sessionName)
  (list "AWS_ENDPOINT_URL_STS" $identity.endpoint)
  (list "AWS_SERVER_SIDE_ENCRYPTION" $encryption.algorithm)
  (list "AWS_SSE_KMS_KEY_ID" $encryption.kmsKeyId)
-}}
{{- if $chat -}}
{{- if $chat.words -}}{{- $texts = append $texts (list "DOMICILE_BOT_WORDS" (toRawJson $chat.words)) -}}{{- end -}}
{{- $texts = append $texts (list "DOMICILE_BOT_PROGRESS" (ternary "on" "off" (dig "progress" true $chat))) -}}
{{- end -}}
{{- if not $v.vault.keysSecret -}}{{- $texts = append $texts (list "DOMICILE_VAULT_KEYS" (join "," $keys)) -}}{{- end -}}
{{- if $jwt -}}
{{- $texts = append $texts (list "DOMICILE_APP_JWT_USER_CLAIM" ($jwt.userClaim | default "sub")) -}}
{{- $leeway := ternary $jwt.leewaySeconds 30 (hasKey $jwt "leewaySeconds") -}}
{{- $texts = append $texts (list "DOMICILE_APP_JWT_LEEWAY_SECONDS" ($leeway | int64 | toString)) -}}
{{- end -}}
{{- if $identity -}}{{- $texts = append $texts (list "AWS_WEB_IDENTITY_TOKEN_FILE" (include "domicile.tokenFile" .)) -}}{{- end -}}
{{- range list (list "AWS_VIRTUAL_HOSTED_STYLE_REQUEST" $v.objects "virtualHostedStyle") (list "AWS_SSE_BUCKET_KEY_ENABLED" $encryption "bucketKey") -}}
{{- if hasKey (index . 1) (index . 2) -}}{{- $texts = append $texts (list (index . 0) (get (index . 1) (index . 2) | toString)) -}}{{- end -}}
{{- end -}}
{{- $secrets := list
  (list "DOMICILE_DATABASE_URL" $v.database.urlSecret)
  (list "DOMICILE_ZOOM_CLIENT_SECRET" $linking.clientSecret)
  (list "DOMICILE_ZOOM_WEBHOOK_SECRETS" $linking.webhookSecrets)
  (list "DOMICILE_ZOOM_WEBHOOK_AUTHORIZATION" $linking.webhookAuthorization)
  (list "DOMICILE_ZOOM_WEBHOOK_HEADER" $linking.webhookHeader)
  (list "DOMICILE_BOT_CLIENT_SECRET" $bot.clientSecret)
  (list "DOMICILE_BOT_WEBHOOK_SECRETS" $bot.webhookSecrets)
  (list "DOMICILE_BOT_WEBHOOK_AUTHORIZATION" $bot.webhookAuthorization)
  (list "DOMICILE_BOT_WEBHOOK_HEADER" $bot.webhookHeader)
  (list "DOMICILE_VAULT_KEYS" $v.vault.keysSecret)
  (list "DOMICILE_EVIDENCE_KEY" $v.vault.evidenceKey)
  (list "DOMICILE_APP_API_KEYS" $app.apiKeys)
  (list "DOMICILE_APP_EVENTS_SECRETS" $app.eventsSecrets)
  (list "AWS_ACCESS_KEY_ID" $key.id)
  (list "AWS_SECRET_ACCESS_KEY" $key.secret)
  (list "AWS_SESSION_TOKEN" $key.sessionToken)
-}}
{{- $all := list -}}
{{- range $texts -}}{{- if index . 1 -}}{{- $all = append $all (dict "name" (index . 0) "value" (index . 1)) -}}{{- end -}}{{- end -}}
{{- range $secrets -}}{{- if index . 1 -}}{{- $all = append $all (dict "name" (index . 0) "secret" (index . 1)) -}}{{- end -}}{{- end -}}
{{- $all | toJson -}}
{{- end -}}

{{/* Where the pod's own identity has its token. */}}
{{- define "domicile.tokenFile" -}}
{{- .Values.objects.credentials.webIdentity.tokenFile | default "/var/run/secrets/eks.amazonaws.com/serviceaccount/token" -}}
{{- end -}}

{{/* The environment of a container. Secrets are files: the environment names them. */}}
{{- define "domicile.env" -}}
{{- range include "domicile.variables" . | fromJsonArray }}
{{- if .secret }}
- name: {{ .name }}_FILE
  value: {{ printf "/etc/domicile/secrets/%s/%s" .secret.name .secret.key | toJson }}
{{- else }}
- name: {{ .name }}
  # Kubernetes would expand $(NAME).
  value: {{ .value | replace "$(" "$$(" | toJson }}
{{- end }}
{{- end }}
{{- end -}}

{{/* Takes a dict of root and config, the name of the ConfigMap. */}}
{{- define "domicile.volumes" -}}
{{- $root := .root }}
{{- $items := dict }}
{{- range include "domicile.variables" $root | fromJsonArray }}
{{- if .secret }}
{{- $_ := set $items .secret.name (append (get $items .secret.name | default list) .secret.key) }}
{{- end }}
{{- end }}
- name: region
  configMap:
    name: {{ .config }}
- name: secrets
  projected:
    defaultMode: 0440
    sources:
      {{- range $name, $keys := $items }}
      - secret:
          name: {{ $name }}
          items:
            {{- range $keys }}
            - key: {{ . }}
              path: {{ printf "%s/%s" $name . }}
            {{- end }}
      {{- end }}
{{- if include "domicile.databaseCa" $root }}
{{- $ca := include "domicile.databaseCa" $root | fromJson }}
- name: database-ca
  secret:
    secretName: {{ $ca.name }}
    defaultMode: 0440
    items:
      - key: {{ $ca.key }}
        path: ca.crt
{{- end }}
{{- if dig "credentials" "webIdentity" "" $root.Values.objects }}
- name: cloud-token
  projected:
    defaultMode: 0440
    sources:
      - serviceAccountToken:
          audience: sts.amazonaws.com
          expirationSeconds: 3600
          path: {{ include "domicile.tokenFile" $root | base }}
{{- end }}
{{- end -}}

{{- define "domicile.volumeMounts" -}}
- name: region
  mountPath: {{ .Values.region.file }}
  subPath: region.yaml
  readOnly: true
- name: region
  mountPath: {{ .Values.region.directoryFile }}
  subPath: directory.yaml
  readOnly: true
- name: secrets
  mountPath: /etc/domicile/secrets
  readOnly: true
{{- if include "domicile.databaseCa" . }}
- name: database-ca
  mountPath: /etc/domicile/database
  readOnly: true
{{- end }}
{{- if dig "credentials" "webIdentity" "" .Values.objects }}
- name: cloud-token
  mountPath: {{ include "domicile.tokenFile" . | dir }}
  readOnly: true
{{- end }}
{{- end -}}

{{/* The Secret with the certificate of the database's authority, where there is one. */}}
{{- define "domicile.databaseCa" -}}
{{- if .Values.chart.postgres.enabled -}}
{{- dict "name" (printf "%s-ca" (include "domicile.cluster" .)) "key" "ca.crt" | toJson -}}
{{- else if .Values.chart.databaseCa -}}
{{- .Values.chart.databaseCa | toJson -}}
{{- end -}}
{{- end -}}
