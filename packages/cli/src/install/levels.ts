/** How what is missing on a real cluster is met; `auto`: the best that the server has. */
export const wantedLevels = ["auto", "policies", "mutating", "webhook"] as const;
export type WantedLevel = (typeof wantedLevels)[number];
