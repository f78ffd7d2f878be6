{{/* Names of what belongs to the release. */}}
{{- define "webhooks.name" -}}
{{- if contains .Chart.Name .Release.Name }}{{ .Release.Name | trunc 50 | trimSuffix "-" }}{{ else }}{{ printf "%s-%s" (.Release.Name | trunc 40 | trimSuffix "-") .Chart.Name }}{{ end }}
{{- end }}

{{/* By these a selector finds the pods of one component: (list $ "worker"). They never change. */}}
{{- define "webhooks.selector" -}}
app.kubernetes.io/name: {{ (index . 0).Chart.Name }}
app.kubernetes.io/instance: {{ (index . 0).Release.Name }}
app.kubernetes.io/component: {{ index . 1 }}
{{- end }}

{{- define "webhooks.labels" -}}
{{ include "webhooks.selector" . }}
app.kubernetes.io/managed-by: {{ (index . 0).Release.Service }}
helm.sh/chart: {{ printf "%s-%s" (index . 0).Chart.Name (index . 0).Chart.Version | replace "+" "_" }}
{{- end }}

{{- define "webhooks.image" -}}
{{- if .Values.image.digest -}}
{{ .Values.image.repository }}@{{ .Values.image.digest }}
{{- else -}}
{{ .Values.image.repository }}:{{ required "image.tag is the version to run, such as 1.2.3" .Values.image.tag }}
{{- end }}
{{- end }}

{{/* What each pod has: the restricted profile of Kubernetes' pod security standards, and no token of its API. */}}
{{- define "webhooks.pod" -}}
automountServiceAccountToken: false
enableServiceLinks: false
securityContext:
  runAsNonRoot: true
  runAsUser: 65532
  runAsGroup: 65532
  fsGroup: 65532
  seccompProfile: { type: RuntimeDefault }
{{- with .Values.imagePullSecrets }}
imagePullSecrets: {{ toJson . }}
{{- end }}
{{- with .Values.nodeSelector }}
nodeSelector: {{ toJson . }}
{{- end }}
{{- with .Values.tolerations }}
tolerations: {{ toJson . }}
{{- end }}
{{- with .Values.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- end }}

{{- define "webhooks.container" -}}
image: {{ include "webhooks.image" . | quote }}
imagePullPolicy: {{ .Values.image.pullPolicy }}
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  capabilities: { drop: [ALL] }
{{- end }}

{{/* Secrets are files, which follow the Secret while the pod runs: a dict of file name to {secret, key}. */}}
{{- define "webhooks.secretVolume" -}}
- name: secrets
  projected:
    defaultMode: 0440
    sources:
      {{- range $file, $from := . }}
      - secret: { name: {{ $from.secret | quote }}, items: [{ key: {{ $from.key | quote }}, path: {{ $file | quote }} }] }
      {{- end }}
{{- end }}

{{- define "webhooks.settings" -}}
{{- range $name, $value := .Values.settings }}
- { name: {{ $name }}, value: {{ $value | toString | quote }} }
{{- end }}
{{- range $name, $from := .Values.secretSettings }}
- { name: {{ $name }}_FILE, value: /etc/recordengine/{{ $name }} }
{{- end }}
{{- end }}

{{/* Where each component may connect: name servers, and the database. */}}
{{- define "webhooks.databaseEgress" -}}
- ports: [{ protocol: UDP, port: 53 }, { protocol: TCP, port: 53 }]
  to: {{ toJson .Values.networkPolicy.dns }}
- ports: [{ protocol: TCP, port: {{ .Values.networkPolicy.database.port }} }]
  to: {{ toJson .Values.networkPolicy.database.to }}
{{- end }}
