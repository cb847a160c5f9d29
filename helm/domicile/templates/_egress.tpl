{{/* What the processes may call, as the crate region lists it: a JSON list of host, port and below. */}}
{{- define "domicile.destinations" -}}
{{- $v := .Values -}}
{{- $urls := list $v.zoom.oauthUrl $v.zoom.apiUrl $v.app.eventsUrl $v.telemetry.otlpEndpoint -}}
{{- $urls = append $urls (dig "identity" "jwt" "jwksUrl" "" $v.app) -}}
{{- range $v.egress.allow -}}{{- $urls = append $urls (printf "https://%s" .) -}}{{- end -}}
{{- $objects := $v.objects -}}
{{- $place := $objects.region | default "" -}}
{{- $domain := ternary "amazonaws.com.cn" "amazonaws.com" (hasPrefix "cn-" $place) -}}
{{- if hasPrefix "s3://" $objects.url -}}
{{- $bucket := (urlParse $objects.url).host -}}
{{- $server := $objects.endpoint | default (printf "https://s3.%s.%s" $place $domain) -}}
{{- $own := and (not $objects.endpoint) (not (contains "." $bucket)) -}}
{{- if hasKey $objects "virtualHostedStyle" -}}{{- $own = $objects.virtualHostedStyle -}}{{- end -}}
{{- if $own -}}{{- $server = replace "://" (printf "://%s." $bucket) $server -}}{{- end -}}
{{- $urls = append $urls $server -}}
{{- end -}}
{{- with dig "credentials" "webIdentity" "" $objects -}}
{{- $urls = append $urls (.endpoint | default (printf "https://sts.%s.%s" $place $domain)) -}}
{{- end -}}
{{- range $v.vault.keys -}}
{{- with .awsKms -}}
{{- $place := index (splitList ":" .) 3 -}}
{{- $domain := ternary "amazonaws.com.cn" "amazonaws.com" (hasPrefix "cn-" $place) -}}
{{- if hasPrefix "arn:aws-eusc:" . -}}{{- $domain = "amazonaws.eu" -}}{{- end -}}
{{- $urls = append $urls ($v.vault.endpoint | default (printf "https://kms.%s.%s" $place $domain)) -}}
{{- end -}}
{{- end -}}
{{- $found := dict -}}
{{- range $urls -}}
{{- if . -}}
{{- $authority := include "domicile.authority" . -}}
{{- $host := regexReplaceAll ":[0-9]+$" $authority "" -}}
{{- $port := regexFind "[0-9]+$" $authority -}}
{{- $covered := false -}}
{{- range $v.zoom.hosts -}}
{{- if and (eq $port "443") (or (eq $host .) (hasSuffix (printf ".%s" .) $host)) -}}{{- $covered = true -}}{{- end -}}
{{- end -}}
{{- if not $covered -}}{{- $_ := set $found $authority (dict "host" $host "port" (int64 $port) "below" false) -}}{{- end -}}
{{- end -}}
{{- end -}}
{{- $database := printf "%s:%d" (lower $v.database.host) (int64 $v.database.port | default 5432) -}}
{{- $_ := set $found $database (dict "host" (lower $v.database.host) "port" (int64 $v.database.port | default 5432) "below" false) -}}
{{- range $v.zoom.hosts -}}{{- $_ := set $found (printf "%s:443" .) (dict "host" . "port" 443 "below" true) -}}{{- end -}}
{{- /* `values` has no order, `range` has that of the keys. */ -}}
{{- $sorted := list -}}
{{- range $_, $destination := $found -}}{{- $sorted = append $sorted $destination -}}{{- end -}}
{{- $sorted | toJson -}}
{{- end -}}

{{/* The namespace of a Service of this cluster, such as db.domicile-eu.svc; empty for every other host. */}}
{{- define "domicile.serviceNamespace" -}}
{{- $name := trimSuffix ".cluster.local" . -}}
{{- if hasSuffix ".svc" $name -}}{{- splitList "." (trimSuffix ".svc" $name) | last -}}{{- end -}}
{{- end -}}

{{/* The egress rules of a plain NetworkPolicy, which knows no names: name service, Services of this cluster by namespace and
     port, and for everything else the ports of the list, to public addresses and the private networks that were named. */}}
{{- define "domicile.egress" -}}
{{- $ports := dict -}}
{{- $inside := dict -}}
{{- range include "domicile.destinations" . | fromJsonArray -}}
{{- $namespace := include "domicile.serviceNamespace" .host -}}
{{- if $namespace -}}
{{- $_ := set $inside (printf "%s:%d" $namespace (int64 .port)) (dict "namespace" $namespace "port" .port) -}}
{{- else -}}
{{- $_ := set $ports (printf "%05d" (int64 .port)) .port -}}
{{- end -}}
{{- end }}
- to:
    - namespaceSelector:
        matchLabels:
          kubernetes.io/metadata.name: kube-system
      podSelector:
        matchLabels:
          k8s-app: kube-dns
  ports:
    - {protocol: UDP, port: 53}
    - {protocol: TCP, port: 53}
{{- range $_, $service := $inside }}
- to:
    - namespaceSelector:
        matchLabels:
          kubernetes.io/metadata.name: {{ $service.namespace }}
  ports:
    - {protocol: TCP, port: {{ int64 $service.port }}}
{{- end }}
{{- if $ports }}
- to:
    - ipBlock:
        cidr: 0.0.0.0/0
        except:
          {{- range include "domicile.private4" . | fromJsonArray }}
          - {{ . }}
          {{- end }}
    - ipBlock:
        cidr: 2000::/3
        except:
          # 6to4 and Teredo carry IPv4 addresses, documentation is nowhere.
          - 2002::/16
          - 2001::/32
          - 2001:db8::/32
    {{- range .Values.chart.networkPolicy.privateCidrs }}
    - ipBlock:
        cidr: {{ . | quote }}
    {{- end }}
  ports:
    {{- range $_, $port := $ports }}
    - {protocol: TCP, port: {{ int64 $port }}}
    {{- end }}
{{- end }}
{{- end -}}

{{/* What is no public address of IPv4. */}}
{{- define "domicile.private4" -}}
{{- list "0.0.0.0/8" "10.0.0.0/8" "100.64.0.0/10" "127.0.0.0/8" "169.254.0.0/16" "172.16.0.0/12" "192.0.0.0/24" "192.168.0.0/16" "198.18.0.0/15" "224.0.0.0/4" "240.0.0.0/4" | toJson -}}
{{- end -}}

{{/* Who may come in: a JSON list of listener, port and namespaces; no namespaces is everybody for the public listener, and the
     region's own namespace for the others. */}}
{{- define "domicile.waysIn" -}}
{{- $policy := .Values.chart.networkPolicy -}}
{{- $own := .Values.deployment.namespace -}}
{{- list
  (dict "port" (include "domicile.port" .Values.http.publicListen | int64) "from" $policy.publicFrom "answering" true)
  (dict "port" (include "domicile.port" .Values.http.appListen | int64) "from" (append $policy.appFrom $own | uniq) "answering" true)
  (dict "port" (include "domicile.port" .Values.http.opsListen | int64) "from" (append $policy.opsFrom $own | uniq) "answering" false)
| toJson -}}
{{- end -}}
