/**
 * Single devices and NUMA domains of nodes. Each is a few more columns of the node's timeline, after those of the resources, so
 * that what runs, what is reserved and what is free of it over time is known as of everything else. Pods without devices and
 * domains take nothing of these columns: their cores are whatever cores the bound ones leave.
 */
import type { NodeRecord } from "./nodes.ts";
import type { NodeInput } from "./types.ts";
import type { PodGrant } from "./placement-types.ts";

export const wholeDevice = 1000;

interface Device {
  resource: number;
  id: number;
  column: number;
  /** Index into {@link NodeDetails.domains}. */
  domain: number | undefined;
}

interface Domain {
  id: number;
  /** Column of its first resource; one a resource. */
  column: number;
  /** Resources of which it has a part of its own. */
  bound: number[];
  cores: readonly number[];
}

/** What the columns of a node after the resources mean. Columns stay what they are while the node is known. */
export interface NodeDetails {
  readonly width: number;
  readonly devices: readonly Device[];
  readonly domains: readonly Domain[];
}

export function emptyDetails(width: number): NodeDetails {
  return { width, devices: [], domains: [] };
}

/** What a group of pods asks beyond amounts; undefined for most. */
export interface DetailNeeds {
  /** Resources made of devices, and how much of them each pod asks. */
  readonly devices: readonly { resource: number; name: string; amount: number }[];
  readonly numa: boolean;
}

export function needsOf(
  request: readonly number[],
  resources: readonly string[],
  deviceResources: ReadonlySet<number>,
  numa: boolean,
): DetailNeeds | undefined {
  const devices = request.flatMap((amount, resource) =>
    amount > 0 && deviceResources.has(resource) ? [{ resource, name: resources[resource]!, amount }] : [],
  );
  return devices.length === 0 && !numa ? undefined : { devices, numa };
}

/** Whether pods share a device, so that which one matters to those who want whole ones. */
export function sharesDevice(needs: DetailNeeds | undefined): boolean {
  return needs !== undefined && needs.devices.some(({ amount }) => amount < wholeDevice);
}

/**
 * The columns of a node and its capacity in them. Devices and domains that it had before keep their columns, with nothing in them
 * if they are gone.
 */
export function detailsOf(
  input: NodeInput,
  base: readonly number[],
  resources: readonly string[],
  deviceResources: ReadonlySet<number>,
  before: NodeDetails | undefined,
): { details: NodeDetails | undefined; capacity: number[] } {
  const width = resources.length;
  const capacity = base.slice();
  if (
    input.numa === undefined &&
    before === undefined &&
    !base.some((amount, at) => amount > 0 && deviceResources.has(at))
  ) {
    return { details: undefined, capacity };
  }
  let columns = before?.width ?? width;
  while (capacity.length < columns) capacity.push(0);
  const domains = before?.domains.slice() ?? [];
  for (const { id, cores, capacity: own } of input.numa ?? []) {
    const bound = own.flatMap((amount, resource) => (amount > 0 && !deviceResources.has(resource) ? [resource] : []));
    const at = domains.findIndex((domain) => domain.id === id);
    const column = at < 0 ? columns : domains[at]!.column;
    if (at < 0) columns += width;
    for (let resource = 0; resource < width; resource += 1) capacity[column + resource] = own[resource] ?? 0;
    domains[at < 0 ? domains.length : at] = { id, column, bound, cores };
  }
  const devices = before?.devices.slice() ?? [];
  for (const resource of deviceResources) {
    const name = resources[resource]!;
    const whole = Math.floor(base[resource]! / wholeDevice);
    const ids = input.devices?.[name] ?? Array.from({ length: whole }, (_, id) => id);
    // What others use is off the capacity, and nobody knows which of them it is: the last ones.
    for (const id of ids.slice(0, whole)) {
      const owner = input.numa?.find((one) => one.devices?.[name]?.includes(id))?.id;
      const domain = owner === undefined ? undefined : domains.findIndex((one) => one.id === owner);
      const at = devices.findIndex((device) => device.resource === resource && device.id === id);
      const column = at < 0 ? columns : devices[at]!.column;
      if (at < 0) columns += 1;
      capacity[column] = wholeDevice;
      devices[at < 0 ? devices.length : at] = { resource, id, column, domain };
    }
  }
  const changed =
    before === undefined ||
    columns !== before.width ||
    JSON.stringify([domains, devices]) !== JSON.stringify([before.domains, before.devices]);
  return { details: changed ? { width: columns, devices, domains } : before, capacity };
}

/** How many pods devices hold, at most `most`; `domain`: only those of one NUMA domain. */
function podsOnDevices(
  free: ArrayLike<number>,
  offset: number,
  details: NodeDetails,
  needs: DetailNeeds,
  most: number,
  domain: number | undefined,
): number {
  let count = most;
  for (const { resource, amount } of needs.devices) {
    let pods = 0;
    let whole = 0;
    for (const device of details.devices) {
      if (device.resource !== resource || (domain !== undefined && device.domain !== domain)) continue;
      const left = free[offset + device.column]!;
      if (left >= wholeDevice) whole += wholeDevice;
      pods += Math.max(0, Math.floor(left / amount));
    }
    count = Math.min(count, amount < wholeDevice ? pods : Math.floor(whole / amount));
    if (count <= 0) return 0;
  }
  return count;
}

function podsInDomain(
  free: ArrayLike<number>,
  offset: number,
  details: NodeDetails,
  needs: DetailNeeds,
  request: readonly number[],
  most: number,
  index: number,
): number {
  const domain = details.domains[index]!;
  let count = most;
  for (const resource of domain.bound) {
    const amount = request[resource]!;
    if (amount > 0) count = Math.min(count, Math.floor(free[offset + domain.column + resource]! / amount));
  }
  return count <= 0 ? 0 : podsOnDevices(free, offset, details, needs, count, index);
}

/**
 * Of pods that the amounts hold (`most`), how many the devices and domains hold too.
 * @param free by column, of one time or the least over a span
 */
export function podsInDetail(
  free: ArrayLike<number>,
  offset: number,
  details: NodeDetails | undefined,
  needs: DetailNeeds,
  request: readonly number[],
  most: number,
): number {
  if (details === undefined || most <= 0) return 0;
  if (!needs.numa) return podsOnDevices(free, offset, details, needs, most, undefined);
  let pods = 0;
  for (let index = 0; index < details.domains.length && pods < most; index += 1) {
    pods += podsInDomain(free, offset, details, needs, request, most - pods, index);
  }
  return pods;
}

/** Of each resource the most that one pod can have: of one device or several whole ones, of one domain. */
export function mostForOnePod(
  free: readonly number[],
  details: NodeDetails | undefined,
  needs: DetailNeeds,
  width: number,
): number[] {
  const most = free.slice(0, width);
  for (const { domains } of details === undefined || !needs.numa ? [] : [details]) {
    for (const resource of new Set(domains.flatMap(({ bound }) => bound))) {
      const inOne = Math.max(...domains.map(({ column }) => free[column + resource]!));
      most[resource] = Math.min(most[resource]!, inOne);
    }
  }
  for (const { resource, amount } of needs.devices) {
    const ofOne = (details?.devices ?? []).filter((device) => device.resource === resource);
    const amounts = ofOne.map(({ column }) => free[column]!);
    most[resource] =
      amount < wholeDevice ? Math.max(0, ...amounts) : wholeDevice * amounts.filter((one) => one >= wholeDevice).length;
  }
  return most;
}

/** How many of them shared devices that are in use already hold: they take no whole device from others. */
export function podsWithoutBreaking(
  free: ArrayLike<number>,
  details: NodeDetails | undefined,
  needs: DetailNeeds,
  request: readonly number[],
  most: number,
): number {
  if (details === undefined) return 0;
  const partial = Array.from({ length: details.width }, (_, column) => free[column] ?? 0);
  for (const { resource, column } of details.devices) {
    const isShared = needs.devices.some((need) => need.resource === resource && need.amount < wholeDevice);
    if (isShared && partial[column]! >= wholeDevice) partial[column] = 0;
  }
  return podsInDetail(partial, 0, details, needs, request, most);
}

/**
 * Devices and domain for each of some pods, of which {@link podsInDetail} says that they fit; `free` is lessened by them. Shared
 * devices: the fullest that holds the pod, so that whole ones stay whole. Domains: one where no whole device must be broken, of
 * these the one that holds the fewest such pods.
 */
export function assignDetails(
  free: number[],
  details: NodeDetails,
  needs: DetailNeeds,
  request: readonly number[],
  pods: number,
): { amounts: number[]; grants: PodGrant[] } {
  const amounts = request.map((amount) => amount * pods);
  while (amounts.length < details.width) amounts.push(0);
  const take = (column: number, amount: number): void => {
    free[column]! -= amount;
    amounts[column]! += amount;
  };
  const grants: PodGrant[] = [];
  for (let pod = 0; pod < pods; pod += 1) {
    const index = needs.numa ? bestDomain(free, details, needs, request) : undefined;
    const grant: { devices?: NonNullable<PodGrant["devices"]>[number][]; numa?: number } = {};
    if (index !== undefined) {
      const domain = details.domains[index]!;
      grant.numa = domain.id;
      for (const resource of domain.bound) take(domain.column + resource, request[resource]!);
    }
    for (const { resource, name, amount } of needs.devices) {
      const mine = devicesFor(free, details, resource, amount, index);
      for (const device of mine) take(device.column, Math.min(amount, wholeDevice));
      const ids = mine.map(({ id }) => id);
      (grant.devices ??= []).push({ resource: name, ids, amount: Math.min(amount, wholeDevice) });
    }
    grants.push(grant);
  }
  return { amounts, grants };
}

function devicesFor(
  free: readonly number[],
  details: NodeDetails,
  resource: number,
  amount: number,
  domain: number | undefined,
): Device[] {
  const fitting = details.devices.filter(
    (device) =>
      device.resource === resource &&
      (domain === undefined || device.domain === domain) &&
      free[device.column]! >= Math.min(amount, wholeDevice),
  );
  if (amount >= wholeDevice) return fitting.sort((a, b) => a.id - b.id).slice(0, amount / wholeDevice);
  return fitting.sort((a, b) => free[a.column]! - free[b.column]! || a.id - b.id).slice(0, 1);
}

function bestDomain(
  free: readonly number[],
  details: NodeDetails,
  needs: DetailNeeds,
  request: readonly number[],
): number | undefined {
  let best: { index: number; breaks: number; pods: number } | undefined;
  for (const [index, { id }] of details.domains.entries()) {
    const pods = podsInDomain(free, 0, details, needs, request, Infinity, index);
    if (pods <= 0) continue;
    const breaks = needs.devices.filter(({ resource, amount }) => {
      if (amount >= wholeDevice) return false;
      return free[devicesFor(free, details, resource, amount, index)[0]!.column]! >= wholeDevice;
    }).length;
    const before =
      best === undefined ||
      breaks < best.breaks ||
      (breaks === best.breaks && (pods < best.pods || (pods === best.pods && id < details.domains[best.index]!.id)));
    if (before) best = { index, breaks, pods };
  }
  return best?.index;
}

/**
 * The columns that grants told from elsewhere take (a run that a new leader finds); what they do not tell is taken where it is
 * least in the way.
 */
export function amountsOfGrant(
  grant: PodGrant | null | undefined,
  free: number[],
  details: NodeDetails | undefined,
  needs: DetailNeeds,
  request: readonly number[],
): { amounts: number[]; grant: PodGrant | null } {
  const amounts = request.slice();
  if (details === undefined) return { amounts, grant: grant ?? null };
  while (amounts.length < details.width) amounts.push(0);
  if (grant === null || grant === undefined) {
    if (podsInDetail(free, 0, details, needs, request, 1) < 1) return { amounts, grant: null };
    const found = assignDetails(free, details, needs, request, 1);
    return { amounts: found.amounts, grant: found.grants[0]! };
  }
  for (const { resource, ids, amount } of grant.devices ?? []) {
    const at = needs.devices.find(({ name }) => name === resource)?.resource;
    for (const device of details.devices) {
      if (device.resource === at && ids.includes(device.id)) amounts[device.column]! += amount;
    }
  }
  const domain = details.domains.find(({ id }) => id === grant.numa);
  if (domain !== undefined)
    for (const resource of domain.bound) amounts[domain.column + resource]! += request[resource]!;
  for (const [column, amount] of amounts.entries()) free[column]! -= amount;
  return { amounts, grant };
}

/** Cores of a domain that are nobody's, the first ones; undefined where there are not so many. */
function coresOf(
  details: NodeDetails | undefined,
  numa: number,
  count: number,
  taken: ReadonlySet<number>,
): number[] | undefined {
  const cores = details?.domains.find(({ id }) => id === numa)?.cores.filter((core) => !taken.has(core)) ?? [];
  return cores.length < count || count === 0 ? undefined : cores.slice(0, count);
}

interface Granted {
  nodes: readonly (readonly NodeRecord[])[];
  grants?: readonly (readonly (PodGrant | null)[])[];
}

/** The same with cores for the pods that have a domain and no cores yet: those of no other run on the node. */
export function withCores(placement: Granted, milliCpus: (set: number) => number): (PodGrant | null)[][] | undefined {
  const taken = new Map<NodeRecord, Set<number>>();
  return placement.grants?.map((ofSet, set) =>
    ofSet.map((grant, pod) => {
      const node = placement.nodes[set]?.[pod];
      if (grant?.numa === undefined || grant.cores !== undefined || node === undefined) return grant;
      let mine = taken.get(node);
      if (mine === undefined) taken.set(node, (mine = coresInUse(node)));
      const cores = coresOf(node.details, grant.numa, milliCpus(set) / 1000, mine);
      for (const core of cores ?? []) mine.add(core);
      return cores === undefined ? grant : { ...grant, cores };
    }),
  );
}

function coresInUse(node: NodeRecord): Set<number> {
  const cores = new Set<number>();
  for (const run of node.runs as ReadonlySet<Granted>) {
    for (const [set, ofSet] of (run.grants ?? []).entries()) {
      for (const [pod, grant] of ofSet.entries()) {
        if (run.nodes[set]?.[pod] === node) for (const core of grant?.cores ?? []) cores.add(core);
      }
    }
  }
  return cores;
}
