/** For the tests: what holds of every cluster and load. */
import { test } from "node:test";
import fc from "fast-check";

/** Cases of each law: few where all unit tests run, 1,000 in `npm run test:laws`, 10,000 in `npm run prove -- laws`. */
const numRuns = Number(process.env["BERTH_LAW_CASES"] ?? 100);

export function law(name: string, property: fc.IRawProperty<unknown>): void {
  void test(name, () => fc.assert(property, { numRuns }));
}
