/** What an empty cluster begins with, and what holds where a Queue or the Site says nothing. */
import type { KubernetesObject } from "@berth/machinery";
import { apiVersion, defaultAccountName, defaultQueueName, siteName } from "./constants.ts";
import type { Account } from "./account.ts";
import type { Queue } from "./queue.ts";
import type { Site } from "./site.ts";

export const defaultWallTimeSeconds = 3600;
export const defaultMaxWallTimeSeconds = 21 * 86_400;
export const defaultMaxJobsPerUser = 10_000;
export const defaultFinishedKeepSeconds = 86_400;
export const defaultFinishedKeepCount = 10_000;
export const defaultRequeueLimit = 5;
export const defaultHalfLifeSeconds = 7 * 86_400;
export const defaultMaxAgeSeconds = 7 * 86_400;
/** Of jobs that ask for none, where there is no QualityOfService of this name: nothing is special about it. */
export const defaultQos = "normal";

export const defaultQueue: Queue = {
  apiVersion,
  kind: "Queue",
  metadata: { name: defaultQueueName },
  spec: {
    default: true,
    state: "Up",
    tier: 1,
    placement: "Pack",
    defaultWallTimeSeconds,
    maxWallTimeSeconds: defaultMaxWallTimeSeconds,
  },
};

export const defaultAccount: Account = {
  apiVersion,
  kind: "Account",
  metadata: { name: defaultAccountName },
  spec: { open: true, shares: 1, description: "Everybody who asks; Site.spec.openAccounts: false closes it." },
};

export const defaultSite: Site = {
  apiVersion,
  kind: "Site",
  metadata: { name: siteName },
  spec: { reservationDepth: 1, openAccounts: true },
};

/** Objects that a new embedded cluster is given, in the order in which they must be made. */
export const defaultObjects: readonly KubernetesObject[] = [defaultSite, defaultQueue, defaultAccount].map(
  (object) => object as unknown as KubernetesObject,
);
