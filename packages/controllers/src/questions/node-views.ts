/** Answers lists of NodeViews: what of each node is in use. */
import {
  questionsApiVersion,
  capacityOf,
  effectiveRequests,
  labels,
  type InquirySpec,
  type NodeView,
} from "@berth/kinds";
import type { Ledger } from "../model/ledger.ts";
import type { AttemptPod, WorkloadRecord } from "../model/record.ts";
import type { Scheduling } from "../scheduler/scheduling.ts";
import type { Stores } from "../stores.ts";
import type { Answer } from "./inquiries.ts";
import { queueOf } from "./queue-order.ts";
import { Readings } from "./readings.ts";

interface NodeViewParts {
  ledger: Ledger;
  stores: Pick<Stores, "nodes" | "queues">;
  scheduling: Pick<Scheduling, "inspected">;
}

interface Use {
  amounts: Record<string, number>;
  jobs: number;
}

/** What is in use is summed up again after so many times what it cost. */
const costFactor = 20;

export class NodeViews {
  readonly #parts: NodeViewParts;
  readonly #readings = new Readings<NodeView>();
  #made: NodeView[] = [];
  #madeUntil = -Infinity;

  constructor(parts: NodeViewParts) {
    this.#parts = parts;
  }

  answer(spec: InquirySpec): Answer {
    if (spec.verb === "get") return { items: this.#current().filter(({ metadata }) => metadata.name === spec.name) };
    const select = (): NodeView[] =>
      this.#current().filter(({ metadata }) =>
        (spec.fields ?? []).every(({ operator, value }) => (metadata.name === value) === (operator === "=")),
      );
    return this.#readings.page(spec, select, (view) => view);
  }

  #current(): NodeView[] {
    const began = performance.now();
    if (began < this.#madeUntil) return this.#made;
    this.#made = this.#make();
    const end = performance.now();
    this.#madeUntil = end + (end - began) * costFactor;
    return this.#made;
  }

  #make(): NodeView[] {
    const { ledger, stores, scheduling } = this.#parts;
    const used = new Map<string, Use>();
    for (const record of ledger.values()) if (record.live.size > 0) this.#add(record, used);
    const planned = new Set(scheduling.inspected.core.reservations().flatMap(({ nodes }) => nodes.flat()));
    const names = stores.nodes.list().map(({ metadata }) => metadata.name);
    return names.sort().map((name) => {
      const { amounts = {}, jobs = 0 } = used.get(name) ?? {};
      const status = { used: amounts, jobs, planned: planned.has(name) };
      return { apiVersion: questionsApiVersion, kind: "NodeView", metadata: { name }, spec: {}, status };
    });
  }

  #add(record: WorkloadRecord, used: Map<string, Use>): void {
    const { spec } = record.workload;
    const queue = this.#parts.stores.queues.get(undefined, queueOf(record))?.spec ?? {};
    const requests = new Map(spec.podSets.map(({ name, template }) => [name, effectiveRequests(template.spec, queue)]));
    const first = requests.values().next().value!;
    for (const attempt of record.live.values()) {
      for (const pod of attempt.pods) {
        if (pod.state === "Gone") continue;
        let use = used.get(pod.node);
        if (use === undefined) used.set(pod.node, (use = { amounts: {}, jobs: 0 }));
        const amounts = spec.podSets.length === 1 ? first : (requests.get(podSetOf(pod)) ?? first);
        const whole = spec.placement?.exclusive === true ? this.#whole(pod.node) : undefined;
        for (const [resource, amount] of Object.entries({ ...amounts, ...whole }))
          use.amounts[resource] = (use.amounts[resource] ?? 0) + amount;
        if (pod.isDriver) use.jobs += 1;
      }
    }
  }

  #whole(name: string): Record<string, number> {
    const node = this.#parts.stores.nodes.get(undefined, name);
    return node === undefined ? {} : capacityOf(node);
  }
}

/** From its name, `…-PODSET-INDEX-aATTEMPT`: the pod itself may not be there yet. */
function podSetOf({ name, pod }: AttemptPod): string {
  return pod?.metadata.labels?.[labels.podSet] ?? /-([a-z0-9]+(?:-rest|-last)?)-\d+-a\d+$/.exec(name)?.[1] ?? "";
}
