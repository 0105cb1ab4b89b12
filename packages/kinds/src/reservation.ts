/** Reservation: nodes kept for somebody, or for maintenance, from one time to another; once or again and again. */
import type { Condition, KubernetesObject } from "@berth/machinery";
import type { KindDefinition } from "./definition.ts";
import {
  boolean,
  conditions,
  integer,
  list,
  mapOf,
  name,
  object,
  oneOf,
  seconds,
  text,
  time,
  userName,
} from "./schema.ts";

export interface ReservationSpec {
  /** RFC 3339; of a repeating one, of its first window. */
  startTime: string;
  durationSeconds: number;
  /** The window comes again after so many seconds (86,400: daily, 604,800: weekly); absent: once. */
  everySeconds?: number;
  /** Windows come again at the same time of this zone's clocks (`Europe/Berlin`); absent: of UTC's. */
  timeZone?: string;
  /** These nodes; else so many of those that the selector takes; else all that it takes. */
  nodes?: string[];
  nodeCount?: number;
  nodeSelector?: Record<string, string>;
  /** Who may use it, by naming it. */
  users?: string[];
  /** Their jobs and those of the accounts under them. */
  accounts?: string[];
  /** May lie over other reservations, whose jobs then wait too. */
  maintenance?: boolean;
  /** Taken although jobs run there beyond its start: they go on. */
  ignoreJobs?: boolean;
  description?: string;
}
const reservationPhases = ["Pending", "Active", "Ended"] as const;
export interface ReservationStatus {
  phase?: (typeof reservationPhases)[number];
  /** The window that is, or the next one. */
  startTime?: string;
  endTime?: string;
  nodes?: string[];
  conditions?: Condition[];
}
export type Reservation = KubernetesObject<ReservationSpec, ReservationStatus> & { spec: ReservationSpec };

export const reservationDefinition: KindDefinition = {
  kind: "Reservation",
  plural: "reservations",
  singular: "reservation",
  shortNames: ["bres"],
  categories: ["berth"],
  namespaced: false,
  description: "Nodes kept for users, accounts or maintenance, once or repeatedly; jobs ask for it by its name.",
  spec: {
    ...object(
      {
        startTime: { ...time, description: "Of a repeating one: of its first window." },
        durationSeconds: seconds("How long each window lasts."),
        everySeconds: integer(
          60,
          10 * 365 * 86_400,
          "The window comes again after so many seconds: 86400 daily, 604800 weekly. Absent: once.",
        ),
        timeZone: {
          ...text(64),
          description:
            "It comes again at the same time of this zone's clocks, such as Europe/Berlin, through summer and winter. Absent: of UTC.",
        },
        nodes: { ...list(name, 10_000), description: "These nodes." },
        nodeCount: integer(1, 1_000_000, "So many of the nodes that nodeSelector takes."),
        nodeSelector: { ...mapOf(text(63), 64), description: "Without nodeCount: all nodes with these labels." },
        users: { ...list(userName, 10_000), description: "Who may use it, by naming it." },
        accounts: {
          ...list(name, 10_000),
          description: "Their jobs may use it, and those of the accounts under them.",
        },
        maintenance: { ...boolean, description: "May lie over other reservations, whose jobs then wait too." },
        ignoreJobs: {
          ...boolean,
          description: "Taken although jobs run there beyond its start: they go on.",
        },
        description: text(4096),
      },
      ["startTime", "durationSeconds"],
    ),
    "x-kubernetes-validations": [
      {
        rule: "!has(self.everySeconds) || self.everySeconds >= self.durationSeconds",
        message: "everySeconds must not be less than durationSeconds: a window would begin before the last one is over",
      },
      {
        rule: "!has(self.timeZone) || (has(self.everySeconds) && self.everySeconds % 86400 == 0)",
        message: "timeZone is for what comes again after whole days: everySeconds must be a multiple of 86400",
      },
      {
        rule: "!has(self.nodes) || (!has(self.nodeCount) && !has(self.nodeSelector))",
        message: "name nodes, or say how many of which (nodeCount, nodeSelector), not both",
      },
      {
        rule:
          "(has(self.users) && size(self.users) > 0) || (has(self.accounts) && size(self.accounts) > 0) || " +
          "(has(self.maintenance) && self.maintenance)",
        message: "say whom it is for: users, accounts, or maintenance: true",
      },
    ],
  },
  status: object({
    phase: oneOf(reservationPhases),
    startTime: { ...time, description: "The window that is, or the next one." },
    endTime: time,
    nodes: list(name, 100_000),
    conditions,
  }),
  columns: [
    { name: "Phase", type: "string", jsonPath: ".status.phase" },
    { name: "Start", type: "string", jsonPath: ".status.startTime", description: "Of this window, or the next." },
    { name: "End", type: "string", jsonPath: ".status.endTime" },
    { name: "Users", type: "string", jsonPath: ".spec.users" },
    { name: "Accounts", type: "string", jsonPath: ".spec.accounts" },
    { name: "Maintenance", type: "boolean", jsonPath: ".spec.maintenance" },
    { name: "Nodes", type: "string", jsonPath: ".status.nodes", priority: 1 },
    { name: "Age", type: "date", jsonPath: ".metadata.creationTimestamp" },
  ],
};
