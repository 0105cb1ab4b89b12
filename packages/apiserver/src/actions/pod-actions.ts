import { ApiError, badRequest, conflict, fieldInvalid, invalid, notFound } from "@berth/machinery";
import type { TokenSigner } from "../authentication/tokens.ts";
import { defaultAudience, tokenIssuer } from "../authentication/tokens.ts";
import { randomUUID } from "node:crypto";
import { sendJson } from "../http/exchange.ts";
import type { Action } from "../http/resource-call.ts";
import { deleteOptions, remove } from "../registry/delete.ts";
import { timestamp } from "../registry/metadata.ts";
import { update } from "../registry/write.ts";
import type { Store } from "../storage/store.ts";

const success = { kind: "Status", apiVersion: "v1", metadata: {}, status: "Success" };
const lenient = { fieldValidation: "Ignore" as const };

/** `pods/binding`: gives a pod its node, once. */
export function bindingAction(store: Store): Action {
  return async ({ exchange, kind, path, context, body }) => {
    requirePost(exchange.method, "pods/binding");
    const binding = ((await body()) ?? {}) as {
      metadata?: { uid?: string; annotations?: Record<string, string>; labels?: Record<string, string> };
      target?: { kind?: string; name?: string };
    };
    const node = binding.target?.name;
    if (!node || (binding.target?.kind !== undefined && binding.target.kind !== "" && binding.target.kind !== "Node")) {
      throw invalid({ group: "", kind: "Binding" }, path.name, [
        fieldInvalid("target", binding.target ?? null, "must name a Node: {kind: Node, name: …}"),
      ]);
    }
    const current = store.accepted(kind.bucket, path.namespace, path.name);
    if (current === undefined) throw notFound(kind, path.name);
    if (binding.metadata?.uid !== undefined && binding.metadata.uid !== current.uid) {
      throw conflict(
        kind,
        path.name,
        `Precondition failed: UID in precondition: ${binding.metadata.uid}, UID in object meta: ${current.uid}`,
      );
    }
    // As a write of its own kind: a binding may set what an update of the spec may not, and a condition with it.
    const bind = {
      ...kind,
      strategy: { ...kind.strategy, validateUpdate: () => [] },
      unconditionalUpdate: true,
      status: false,
      // A node is no change of what was asked for.
      generation: "none" as const,
    };
    await update(
      store,
      bind,
      path.namespace,
      path.name,
      "finalize",
      (pod) => {
        const spec = (pod.spec ??= {});
        if (spec["nodeName"])
          throw conflict(kind, path.name, `pod ${path.name} is already assigned to node "${String(spec["nodeName"])}"`);
        if (pod.metadata.deletionTimestamp !== undefined) {
          throw conflict(kind, path.name, `pod ${path.name} is being deleted, cannot be assigned to a host`);
        }
        spec["nodeName"] = node;
        const status = (pod.status ??= {});
        const conditions = (status["conditions"] ?? []) as { type: string }[];
        status["conditions"] = [
          ...conditions.filter(({ type }) => type !== "PodScheduled"),
          { type: "PodScheduled", status: "True", lastProbeTime: null, lastTransitionTime: timestamp(context.now) },
        ];
        for (const field of ["labels", "annotations"] as const) {
          const values = binding.metadata?.[field];
          if (values !== undefined) pod.metadata[field] = { ...pod.metadata[field], ...values };
        }
        return pod;
      },
      lenient,
      context,
    );
    sendJson(exchange, 201, { ...success, code: 201 });
  };
}

/** `pods/eviction`: a delete that disruption budgets may refuse; none are kept here. */
export function evictionAction(store: Store): Action {
  return async ({ exchange, kind, path, context, body }) => {
    requirePost(exchange.method, "pods/eviction");
    const eviction = ((await body()) ?? {}) as { deleteOptions?: unknown };
    const { options, dryRun } = deleteOptions(eviction.deleteOptions, exchange.query);
    await remove(store, kind, path.namespace, path.name, options, { ...context, dryRun });
    sendJson(exchange, 201, { ...success, code: 201 });
  };
}

const shortestTokenSeconds = 600;
const longestTokenSeconds = 2 ** 32;

/** `serviceaccounts/token`: a token bound to the account, and to a pod or secret where one is named. */
export function tokenAction(store: Store, signer: TokenSigner): Action {
  return async ({ exchange, kind, path, context, body }) => {
    requirePost(exchange.method, "serviceaccounts/token");
    const request = ((await body()) ?? {}) as {
      metadata?: object;
      spec?: {
        audiences?: string[];
        expirationSeconds?: number;
        boundObjectRef?: { kind?: string; name?: string; uid?: string };
      };
    };
    const account = store.get(kind.bucket, path.namespace, path.name);
    if (account === undefined) throw notFound(kind, path.name);
    const seconds = request.spec?.expirationSeconds ?? 3600;
    if (seconds < shortestTokenSeconds || seconds > longestTokenSeconds) {
      throw invalid({ group: "authentication.k8s.io", kind: "TokenRequest" }, "", [
        fieldInvalid(
          "spec.expirationSeconds",
          seconds,
          seconds < shortestTokenSeconds
            ? "may not specify a duration less than 10 minutes"
            : "may not specify a duration larger than 2^32 seconds",
        ),
      ]);
    }
    const audiences = request.spec?.audiences?.length ? request.spec.audiences : [defaultAudience];
    const reference = request.spec?.boundObjectRef;
    let bound: { pod?: { name: string; uid: string }; secret?: { name: string; uid: string } } = {};
    if (reference?.kind !== undefined && reference.name !== undefined) {
      const bucket = { Pod: "pods", Secret: "secrets" }[reference.kind];
      if (bucket === undefined)
        throw badRequest(`cannot bind token for serviceaccount "${path.name}" to object type ${reference.kind}`);
      const object = store.get(bucket, path.namespace, reference.name);
      if (object === undefined) throw notFound({ group: "", resource: bucket }, reference.name);
      if (reference.uid !== undefined && reference.uid !== object.uid) {
        throw conflict(
          { group: "", resource: bucket },
          reference.name,
          `the UID in the bound object reference (${reference.uid}) does not match the UID in record. The object might have been deleted and then recreated`,
        );
      }
      bound = { [reference.kind.toLowerCase()]: { name: object.name, uid: object.uid } };
    }
    const now = Math.floor(context.now.getTime() / 1000);
    const token = signer.sign({
      iss: tokenIssuer,
      sub: `system:serviceaccount:${path.namespace}:${path.name}`,
      aud: audiences,
      iat: now,
      nbf: now,
      exp: now + seconds,
      jti: randomUUID(),
      "kubernetes.io": {
        namespace: path.namespace,
        serviceaccount: { name: account.name, uid: account.uid },
        ...bound,
      },
    });
    sendJson(exchange, 201, {
      kind: "TokenRequest",
      apiVersion: "authentication.k8s.io/v1",
      metadata: {
        ...request.metadata,
        name: path.name,
        namespace: path.namespace,
        creationTimestamp: timestamp(context.now),
      },
      spec: { ...request.spec, audiences, expirationSeconds: seconds, boundObjectRef: reference ?? null },
      status: { token, expirationTimestamp: timestamp(new Date((now + seconds) * 1000)) },
    });
  };
}

function requirePost(method: string, what: string): void {
  if (method !== "POST") throw new ApiError(405, "MethodNotAllowed", `${what} is created with POST`);
}
