/** `berth apply`: brings what an operator set (queues, accounts …) to what a file says, all of it or nothing. */
import { isReason } from "@berth/client";
import { accounts, apiVersion, memberships, qualitiesOfService, queues, reservations, sites } from "@berth/kinds";
import { type KubernetesObject, type ResourceKey, isObject } from "@berth/machinery";
import { readFileSync } from "node:fs";
import { CommandError } from "../command-error.ts";
import { connect } from "../connect.ts";
import { parseYamlDocuments, YamlError } from "../simulation/yaml-documents.ts";

const resourceOf: Readonly<Record<string, ResourceKey>> = {
  Site: sites,
  QualityOfService: qualitiesOfService,
  Queue: queues,
  Account: accounts,
  Membership: memberships,
  Reservation: reservations,
};
/** Of a site file for the simulator; a cluster's machine is what it is. */
const passedOver = new Set(["Node"]);

interface Wanted {
  object: KubernetesObject;
  resource: ResourceKey;
  /** Where it stands, for what is wrong with it. */
  place: string;
}

/** @param files names; `-`: standard input */
export async function apply(files: readonly string[], { dryRun }: { dryRun?: boolean }): Promise<number> {
  const wanted = files.flatMap(read);
  const { client } = await connect();
  const write = ({ object, resource, place }: Wanted, isTrial: boolean): Promise<KubernetesObject> =>
    client
      .patch<KubernetesObject>(resource, object.metadata.name, object, {
        type: "Apply",
        force: true,
        fieldManager: "berth-apply",
        dryRun: isTrial,
      })
      .catch((error: Error) => {
        if (isReason(error, "Forbidden")) {
          throw new CommandError(`${place}: only an operator of the cluster may change this: ${error.message}`);
        }
        throw new CommandError(`${place}: ${error.message}`);
      });
  // Nothing half applied: what the cluster would refuse is found before anything is changed.
  for (const one of wanted) await write(one, true);
  for (const one of wanted) {
    if (dryRun !== true) await write(one, false);
    const { kind, metadata } = one.object;
    process.stdout.write(`${kind} ${metadata.name} ${dryRun === true ? "would be applied" : "applied"}\n`);
  }
  return 0;
}

function read(file: string): Wanted[] {
  const name = file === "-" ? "standard input" : file;
  const found: Wanted[] = [];
  let documents: ReturnType<typeof parseYamlDocuments>;
  try {
    documents = parseYamlDocuments(readFileSync(file === "-" ? 0 : file, "utf8"));
  } catch (error) {
    if (error instanceof YamlError) throw new CommandError(`${name}, line ${error.line}: ${error.message}`);
    throw new CommandError(`${name} cannot be read: ${(error as Error).message}`);
  }
  for (const { value, lineOf } of documents) {
    if (value === null || value === undefined) continue;
    const isList = isObject(value) && value["kind"] === "List" && Array.isArray(value["items"]);
    const objects = isList ? (value["items"] as unknown[]) : [value];
    for (const [index, object] of objects.entries()) {
      const place = `${name}, line ${lineOf(isList ? `items[${index}]` : "")}`;
      const one = wantedOf(object, place);
      if (one !== undefined) found.push(one);
    }
  }
  if (found.length === 0) throw new CommandError(`${name}: there is nothing in it to apply`);
  return found;
}

function wantedOf(value: unknown, place: string): Wanted | undefined {
  const {
    kind,
    metadata,
    apiVersion: version = apiVersion,
  } = (isObject(value) ? value : {}) as Partial<KubernetesObject>;
  if (kind !== undefined && passedOver.has(kind)) return undefined;
  const resource = kind === undefined ? undefined : resourceOf[kind];
  if (resource === undefined || version !== apiVersion) {
    const kinds = Object.keys(resourceOf).join(", ");
    throw new CommandError(`${place}: not a kind that can be applied here; there are ${kinds} of ${apiVersion}`);
  }
  if (typeof metadata?.name !== "string") throw new CommandError(`${place}: metadata.name is missing`);
  const { name, labels, annotations } = metadata;
  const { spec = {} } = value as { spec?: unknown };
  return {
    object: { apiVersion, kind: kind!, metadata: { name, labels, annotations }, spec } as KubernetesObject,
    resource,
    place,
  };
}
