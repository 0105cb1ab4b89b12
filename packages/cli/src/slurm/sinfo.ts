/** `sinfo`: queues and their nodes. */
import { resources } from "@berth/client";
import { queues, reservations, type Queue, type Reservation } from "@berth/kinds";
import { formatSinfo, readSinfoCommandLine, sinfoOptions, type NodeRow, type SinfoQuery } from "@berth/slurm";
import { connect } from "../connect.ts";
import { addReservations, nodeRows, partitionRows, type NodeObject } from "../rows/node-rows.ts";
import { withCluster } from "./contact.ts";
import { showText } from "./help.ts";
import { nodeUse } from "./node-use.ts";

const examples = "Examples:\n  sinfo\n  sinfo -N -l\n  sinfo -h -o '%P %D %t'\n";

export async function sinfo(words: string[]): Promise<number> {
  const query = readSinfoCommandLine(words, process.env);
  if (query.show !== undefined) return showText("sinfo", query.show, sinfoOptions, examples);
  return await withCluster("slurm_load_partitions", async () => {
    const cluster = await connect();
    const { client } = cluster;
    const [nodes, queueList, used, reserved] = await Promise.all([
      client.listAll<NodeObject>(resources.nodes),
      client.listAll<Queue>(queues),
      nodeUse(cluster),
      client.listAll<Reservation>(reservations).catch(() => ({ items: [] })),
    ]);
    addReservations(used, reserved.items);
    const rows = nodeRows(nodes.items, used).filter((node) => isShown(node, query));
    const names = new Set(rows.map(({ name }) => name));
    const partitions = partitionRows(queueList.items, nodes.items).filter(
      ({ name }) => query.partitions === undefined || query.partitions.includes(name),
    );
    for (const partition of partitions) partition.nodes = partition.nodes.filter((name) => names.has(name));
    const nowSeconds = Math.floor(Date.now() / 1000);
    process.stdout.write(formatSinfo(partitions, rows, { ...query, nowSeconds }));
    return 0;
  });
}

function isShown(node: NodeRow, query: SinfoQuery): boolean {
  if (query.nodes !== undefined && !query.nodes.includes(node.name)) return false;
  if (query.responding !== undefined && query.responding !== node.responding) return false;
  if (query.listReasons && node.reason === undefined) return false;
  if (query.states === undefined) return true;
  return query.states.some((state) => (state === "drain" ? ["draining", "drained"] : [state]).includes(node.state));
}
