import type { PolicyLevel } from "@berth/kinds/install";

/** How what is missing on a real cluster is met; `auto`: the best that the server has by itself. */
export const wantedLevels = ["auto", "policies", "mutating", "webhook"] as const;
export type WantedLevel = (typeof wantedLevels)[number];

export const levelSentences: Readonly<Record<PolicyLevel, string>> = {
  policies: "level policies: what pods of a managed namespace lack is refused, with the line to add",
  mutating: "level mutating: what pods of a managed namespace lack is filled in",
  webhook:
    "level webhook: what pods of a managed namespace lack is filled in by the controllers, and refused while they do not answer",
};
