/** Names of what an installation consists of, the same for every way to install. */
import { group } from "../constants.ts";

/** Who owns the fields that an installation sets. */
export const fieldManager = "berth-install";
/** Format of the definitions and of what is stored by them; goes up when stored objects have to be brought forward. */
export const installationFormat = 1;
/** On each CustomResourceDefinition: {@link installationFormat} as a decimal. */
export const formatAnnotation = `${group}/format`;
/** On each object that was installed: which way, `berth` or `Helm`. */
export const managedByLabel = "app.kubernetes.io/managed-by";
/** On each object that was installed: `berth`. */
export const partOfLabel = "app.kubernetes.io/part-of";
export const versionLabel = "app.kubernetes.io/version";

export const controllersName = "berth-controllers";
/** Whom the controllers are to the API, and to policies. */
export const controllersUser = (namespace: string): string => `system:serviceaccount:${namespace}:${controllersName}`;
