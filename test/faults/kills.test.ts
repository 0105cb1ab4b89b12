import test from "node:test";
import { killUnderLoad } from "./kills.ts";

test("20 kills of Berth's processes under 60 jobs: nothing lost, nothing run twice, every row once", async (context) => {
  const figures = await killUnderLoad({ kills: 20, jobs: 60, seed: 20261122 });
  context.diagnostic(JSON.stringify(figures));
});
