/** What the supervisor and its processes say to each other over their IPC channel; everything else goes through the API. */
import type { NodeDescription } from "./machine.ts";

/** How nodes run their pods, where the operator chooses; otherwise the best that the machine allows. */
export type DriverChoice = "sandbox" | "process";

export type Role = "apiserver" | "controllers" | "node";

export interface RoleSettings {
  data: string;
  version: string;
  /** Of the API server: the port to listen on, 0 for a free one. */
  port: number;
  /** Of a cluster that root started: where users prove who they are. */
  loginDirectory?: string;
  /** Of the node process. */
  nodes: NodeDescription[];
  driver?: DriverChoice;
}

export type ToChild = { type: "start"; settings: RoleSettings } | { type: "stop" };

export type FromChild =
  /** `url` from the API server, `notes` from the node: what its drivers cannot do here, in sentences. */
  | { type: "ready"; url?: string; notes?: string[] }
  /** It cannot start, and why in words; to start it again would not help. */
  | { type: "refused"; message: string };
