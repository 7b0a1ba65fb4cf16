{{- /* What values.yaml says of Prometheus and the API server, in the policy that opens the way to them. Its rules are told
       by their places: were those to change, the chart would no longer be what kustomize renders, and a test says so. */ -}}
{{- define "serving.opened" }}
{{- $prometheus := dict "namespaceSelector" (dict "matchLabels" (dict "kubernetes.io/metadata.name" .policies.prometheusNamespace)) }}
{{- $_ := set (first .spec.ingress) "from" (list $prometheus) }}
{{- $ports := list }}
{{- range .policies.apiServerPorts }}{{ $ports = append $ports (dict "protocol" "TCP" "port" .) }}{{ end }}
{{- $_ := set (first .spec.egress) "ports" $ports }}
{{- $queried := last .spec.egress }}
{{- $_ := set $queried "to" (list $prometheus) }}
{{- $_ := set $queried "ports" (list (dict "protocol" "TCP" "port" .policies.prometheusPort)) }}
{{- end }}
