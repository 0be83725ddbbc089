{{- define "loan-default.image" -}}
{{- if .Values.image.digest -}}
{{ .Values.image.repository }}@{{ .Values.image.digest }}
{{- else -}}
{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end -}}
{{- end -}}

{{/* Labels that never change: selectors are made of them. Call with (dict "root" $ "component" "commands"). */}}
{{- define "loan-default.selector" -}}
app.kubernetes.io/name: loan-default
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .component }}
{{- end -}}

{{- define "loan-default.labels" -}}
{{ include "loan-default.selector" . }}
app.kubernetes.io/part-of: loan-default
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
helm.sh/chart: {{ .root.Chart.Name }}-{{ .root.Chart.Version }}
{{- end -}}

{{/* What all pods of ours have in common: they pass the profile `restricted` of the Pod Security Standards.
     Group 0, as the image gives what is written to that group. */}}
{{- define "loan-default.pod" -}}
serviceAccountName: {{ .Release.Name }}
automountServiceAccountToken: false
enableServiceLinks: false
{{- with .Values.imagePullSecrets }}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end }}
securityContext:
  runAsNonRoot: true
  runAsUser: 50000
  runAsGroup: 0
  fsGroup: 0
  fsGroupChangePolicy: OnRootMismatch
  seccompProfile:
    type: RuntimeDefault
{{- end -}}

{{- define "loan-default.container" -}}
image: {{ include "loan-default.image" . | quote }}
{{ include "loan-default.locked" . }}
{{- end -}}

{{/* The image without Airflow and torch. */}}
{{- define "loan-default.servingContainer" -}}
{{- if .Values.servingImage.digest }}
image: {{ printf "%s@%s" .Values.servingImage.repository .Values.servingImage.digest | quote }}
{{- else }}
image: {{ printf "%s:%s" .Values.servingImage.repository (.Values.servingImage.tag | default .Chart.AppVersion) | quote }}
{{- end }}
{{ include "loan-default.locked" . }}
{{- end -}}

{{- define "loan-default.locked" -}}
imagePullPolicy: {{ .Values.image.pullPolicy }}
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  capabilities:
    drop: [ALL]
{{- end -}}

{{/* Where MongoDB and Kafka are. Call with (dict "root" $ "mongodbUsername" … "kafkaUsername" …). */}}
{{- define "loan-default.servers" -}}
- name: MONGODB_URI
  value: {{ .root.Values.mongodb.uri | quote }}
- name: LOAN_DEFAULT_MONGODB_DATABASE
  value: {{ .root.Values.mongodb.database | quote }}
- name: MONGODB_USERNAME
  value: {{ .mongodbUsername | quote }}
- name: KAFKA_BOOTSTRAP_SERVERS
  value: {{ .root.Values.kafka.bootstrapServers | quote }}
- name: KAFKA_SECURITY_PROTOCOL
  value: {{ .root.Values.kafka.securityProtocol }}
{{- if hasPrefix "SASL" .root.Values.kafka.securityProtocol }}
- name: KAFKA_SASL_MECHANISM
  value: {{ .root.Values.kafka.saslMechanism }}
- name: KAFKA_SASL_USERNAME
  value: {{ .kafkaUsername | quote }}
{{- end }}
{{- if .root.Values.kafka.caSecret }}
- name: KAFKA_SSL_CAFILE
  value: /run/kafka/ca.crt
{{- end }}
- name: LOAN_DEFAULT_SECRETS
  value: /run/secrets
{{- end -}}

{{/* Passwords are files, as variables are seen by every child and in every dump. */}}
{{- define "loan-default.mounts" -}}
- name: tmp
  mountPath: /tmp
- name: secrets
  mountPath: /run/secrets
  readOnly: true
{{- if .Values.kafka.caSecret }}
- name: kafka-ca
  mountPath: /run/kafka
  readOnly: true
{{- end }}
{{- end -}}

{{- define "loan-default.tmp" -}}
- name: tmp
  emptyDir:
    sizeLimit: 256Mi
{{- end -}}

{{- define "loan-default.kafkaCa" -}}
{{- if .Values.kafka.caSecret }}
- name: kafka-ca
  secret:
    secretName: {{ .Values.kafka.caSecret }}
    defaultMode: 0440
    items:
      - {key: ca.crt, path: ca.crt}
{{- end }}
{{- end -}}

{{/* A file of a secret. Call with (list secret key path). */}}
{{- define "loan-default.file" -}}
- secret:
    name: {{ index . 0 }}
    items:
      - {key: {{ index . 1 }}, path: {{ index . 2 }}}
{{- end -}}

{{- define "loan-default.kafkaPassword" -}}
{{- if hasPrefix "SASL" .root.Values.kafka.securityProtocol }}
{{ include "loan-default.file" (list .root.Values.secrets.kafka (printf "KAFKA_%s_PASSWORD" (upper .kafkaUsername)) "KAFKA_SASL_PASSWORD") }}
{{- end }}
{{- end -}}

{{/* Pods of a component on different nodes, where there are any. */}}
{{- define "loan-default.spread" -}}
topologySpreadConstraints:
  - maxSkew: 1
    topologyKey: kubernetes.io/hostname
    whenUnsatisfiable: ScheduleAnyway
    labelSelector:
      matchLabels:
        {{- include "loan-default.selector" . | nindent 8 }}
{{- end -}}

{{/* Where pods may run. Call with the values of a component. */}}
{{- define "loan-default.placement" -}}
{{- with .nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .affinity }}
affinity:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{/* A rule that lets out to one server. Call with a value of networkPolicy. */}}
{{- define "loan-default.egress" -}}
- ports:
    - {protocol: TCP, port: {{ .port }}}
  {{- with .to }}
  to:
    {{- toYaml . | nindent 4 }}
  {{- end }}
{{- end -}}
