/** What fails on a real cluster, at a small size; `npm run prove -- vanishing` and `-- leaders` run the same whole. */
import { test } from "node:test";
import { killUnderLoad } from "./killing.ts";
import { nodesVanish } from "./vanishing.ts";
import { withoutKwok } from "./kwok.ts";

test(
  "half of the nodes vanish: deleted, silent, and silent until they are back",
  { skip: withoutKwok(), timeout: 900_000 },
  async (t) => {
    const figures = await nodesVanish({
      nodes: 20,
      tasks: 60,
      singles: 10,
      gangs: 5,
      leaseSeconds: 8,
      awaySeconds: 25,
    });
    t.diagnostic(JSON.stringify(figures));
  },
);

test("leaders, API server and etcd are killed under load", { skip: withoutKwok(), timeout: 900_000 }, async (t) => {
  const load = { tasks: 20, singles: 10, gangs: 2 };
  const figures = await killUnderLoad({ nodes: 20, leaderKills: 10, serverKills: 2, load, seed: 20261122 });
  t.diagnostic(JSON.stringify(figures));
});
