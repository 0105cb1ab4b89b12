{{/* Version of admissionregistration.k8s.io whose MutatingAdmissionPolicy is to be used; empty: none is. */}}
{{- define "berth.mutatingVersion" -}}
{{- if not (has .Values.level (list "policies" "webhook")) -}}
{{- if .Capabilities.APIVersions.Has "admissionregistration.k8s.io/v1/MutatingAdmissionPolicy" -}}
v1
{{- else if .Capabilities.APIVersions.Has "admissionregistration.k8s.io/v1beta1/MutatingAdmissionPolicy" -}}
v1beta1
{{- else if eq .Values.level "mutating" -}}
{{- fail "level mutating: this server does not serve MutatingAdmissionPolicy; use level webhook, policies or auto" -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- define "berth.checks" -}}
{{- if ne .Release.Namespace "berth-system" -}}
{{- fail "Berth lives in namespace berth-system: helm install berth charts/berth --namespace berth-system --create-namespace" -}}
{{- end -}}
{{- end -}}
