/** What is put on a real Kubernetes. Only who installs needs it: the rest of the package does without. */
export {
  controllersName,
  controllersUser,
  fieldManager,
  formatAnnotation,
  installationFormat,
  managedByLabel,
  partOfLabel,
  versionLabel,
} from "./labels.ts";
export { fileSettings, usersName, usersPath } from "./controllers.ts";
export type { SiteUsers } from "./controllers.ts";
export { manifests } from "./manifests.ts";
export { volcanoDefinitions } from "./volcano-kinds.ts";
export type { ManifestSettings, PolicyLevel, VolcanoSettings } from "./manifests.ts";
export { fillIn, webhookFullName, webhookName, webhookPath, webhookServerName } from "./webhook.ts";
