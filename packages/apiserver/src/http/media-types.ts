export const acceptedMediaTypes = ["application/json", "application/yaml", "application/vnd.kubernetes.protobuf"];
export const patchMediaTypes = {
  json: "application/json-patch+json",
  merge: "application/merge-patch+json",
  strategic: "application/strategic-merge-patch+json",
  apply: "application/apply-patch+yaml",
} as const;
