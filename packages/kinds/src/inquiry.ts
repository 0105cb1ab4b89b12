/**
 * Inquiry: how a get or list of a kind that is answered from the leader's memory reaches the leader. The API server makes one for
 * each such request, answers the request with its status, and forgets it; users see neither.
 */
import type { KubernetesObject } from "@berth/machinery";
import type { KindDefinition } from "./definition.ts";
import { boolean, integer, list, object, oneOf, text } from "./schema.ts";

export interface InquirySpec {
  /** `queueviews`, `explanations` … */
  resource: string;
  verb: "get" | "list";
  /** Absent: all namespaces, or a cluster-scoped kind. */
  namespace?: string;
  /** Of a get. */
  name?: string;
  /** Of a list: all must hold. */
  fields?: { field: string; operator: "=" | "!="; value: string }[];
  /** At most so many items. */
  limit: number;
  /** As a status gave it: where the next page begins. */
  continue?: string;
  asker: {
    user: string;
    groups: string[];
    /** May list the Workloads of all namespaces, so that nothing needs to be withheld. */
    seesAll: boolean;
  };
}

export interface InquiryStatus {
  /** Whole objects of the kind that was asked for, each as JSON: the API server passes them on unread. Of a get the one. */
  items?: string[];
  continue?: string;
  /** How many come after this page, where that is known. */
  remaining?: number;
  /** The request is refused instead. */
  refusal?: { code: number; reason: string; message: string };
}

export type Inquiry = KubernetesObject<InquirySpec, InquiryStatus> & { spec: InquirySpec };

export const inquiryDefinition: KindDefinition = {
  kind: "Inquiry",
  plural: "inquiries",
  singular: "inquiry",
  namespaced: false,
  description:
    "A get or list of a kind that the leader of the controllers answers from memory. Made by the API server.",
  spec: object(
    {
      resource: text(253),
      verb: oneOf(["get", "list"]),
      namespace: text(253),
      name: text(253),
      fields: list(object({ field: text(253), operator: oneOf(["=", "!="]), value: text(4096) }), 64),
      limit: integer(1, 100_000),
      continue: text(4096),
      asker: object({ user: text(1024), groups: list(text(1024), 10_000), seesAll: boolean }, ["user", "groups"]),
    },
    ["resource", "verb", "limit", "asker"],
  ),
  status: object({
    items: list(text(16_777_216), 100_000),
    continue: text(4096),
    remaining: integer(0, Number.MAX_SAFE_INTEGER),
    refusal: object({ code: integer(400, 599), reason: text(256), message: text(8192) }, ["code", "reason"]),
  }),
  columns: [{ name: "Resource", type: "string", jsonPath: ".spec.resource" }],
};
