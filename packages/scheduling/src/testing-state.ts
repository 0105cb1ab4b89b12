/** For the tests: the state of a scenario, and what is to hold of it at any time. */
import assert from "node:assert/strict";
import { createClusterState } from "./index.ts";
import type { ClusterState } from "./index.ts";
import type { Charge } from "./records.ts";
import type { ClusterStore } from "./store.ts";
import { spansOf } from "./suspensions.ts";
import type { Scenario } from "./testing-scenarios.ts";
import { Timeline } from "./timeline.ts";

export const resources = ["cpu", "memory", "pods"];

/** Node class "gpu" matches every selector, class "cpu" only "any"; a class of pods the selector that is its name. */
export function matches(selector: string, nodeClass: string): boolean {
  return selector === "any" || selector === nodeClass || nodeClass === "gpu";
}

export function emptyState(scenario: Scenario): ClusterState {
  const state = createClusterState({ resources, matches, policy: scenario.policy });
  for (const queue of scenario.queues) state.putQueue(queue);
  for (const node of scenario.nodes) state.putNode(node);
  for (const account of scenario.accounts ?? []) state.putAccount(account);
  for (const membership of scenario.memberships ?? []) state.putMembership(membership);
  for (const qos of scenario.qualities ?? []) state.putQualityOfService(qos);
  return state;
}

/** The incremental timelines are those that the running and reserved jobs make anew. */
export function checkTimelines(store: ClusterStore): void {
  store.advance.settle();
  for (const node of store.table.nodes) {
    if (node.reservation !== undefined && node.views === undefined) continue;
    node.timeline.advance(store.now);
    const fresh = new Timeline(
      node.capacity.map((amount) => (node.reservation === undefined ? amount : 0)),
      store.now,
    );
    const isHere = (charge: Charge): boolean => charge.node.name === node.name;
    for (const { input, nodes, windows } of store.advance.entries.values()) {
      if (!nodes.some(({ name }) => name === node.name) || node.state === "Gone") continue;
      for (const { start, end } of windows) {
        fresh.add(start, end, node.capacity, input.name === node.reservation ? 1 : -1);
      }
    }
    for (const run of node.runs) {
      for (const { charges, start, end } of spansOf(run, store.now)) {
        for (const charge of charges) if (isHere(charge)) fresh.add(start, end, charge.amounts, -1);
      }
    }
    for (const claim of store.claims) {
      for (const charge of claim.charges) if (isHere(charge)) fresh.add(claim.start, claim.end, charge.amounts, -1);
    }
    for (const job of node.reserved) {
      for (const charge of job.reservation!.charges) {
        if (isHere(charge)) fresh.add(job.reservation!.start, job.reservation!.end, charge.amounts, -1);
      }
    }
    assert.deepEqual([node.timeline.times, node.timeline.free], [fresh.times, fresh.free], `timeline of ${node.name}`);
  }
}
