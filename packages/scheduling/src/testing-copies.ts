/** For the tests: what is told twice comes out twice, and copies decide as their originals. */
import assert from "node:assert/strict";
import { decide, explain, explainPriority } from "./index.ts";
import type { Decisions } from "./index.ts";
import type { ClusterStore } from "./store.ts";
import { World } from "./testing.ts";
import type { Scenario } from "./testing-scenarios.ts";

/**
 * The same input gives the same output; a copy that is made before a decision decides the same, and its own deciding changes nothing
 * of the original; explain gives each job that waits its reason, and changes nothing either.
 */
export function assertCopiesDecideAlike(scenario: Scenario): void {
  const [first, second] = [new World(scenario), new World(scenario)];
  const log: Decisions[] = [];
  first.onDecide = (decisions) => log.push(decisions);
  first.play();
  let index = 0;
  second.beforeDecide = (now) => {
    const copy = (second.state as ClusterStore).copy();
    for (const [at, node] of copy.table.nodes.entries()) assert.equal(node.index, at);
    const { starts, preemptions } = decide(copy, now);
    assert.deepEqual(starts, log[index]!.starts);
    assert.deepEqual(preemptions, log[index]!.preemptions);
  };
  second.onDecide = (decisions, now) => {
    assert.deepEqual(decisions, log[index]);
    index += 1;
    for (const id of second.inputs.keys()) {
      const reason = second.state.reason(id);
      assert.equal(explain(second.state, id, now)?.reason, reason);
      assert.equal(explainPriority(second.state, id, now) === undefined, reason === undefined);
    }
    second.check();
  };
  second.play();
  assert.equal(index, log.length);
}
