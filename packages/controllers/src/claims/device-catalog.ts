/** Devices of nodes, as ResourceSlices tell them, and which of them a class with selectors means. */
import type { Informer } from "@berth/client";
import type { compileDeviceSelector, SelectedDevice } from "@berth/machinery/server";
import { type DeviceClass, type DeviceRequest, isPlain, type ResourceSlice } from "./device-objects.ts";

/** A device of one node. */
export interface NodeDevice {
  /** Driver, pool and name: what makes it one. */
  id: string;
  driver: string;
  pool: string;
  name: string;
  node: string;
  selected: SelectedDevice;
}

/** Devices of a class, by selectors of the class and of a request. */
interface Selection {
  /** Of the resource that it is to scheduling. */
  name: string;
  className: string;
  /** Of the request. */
  own: readonly string[];
  matches: (device: NodeDevice) => boolean;
  /** Ids, of the devices there are now. */
  members: Set<string>;
}

/** Its group as Kubernetes names devices of a class that are asked for as a resource. */
const resourceOf = (className: string, selectors: readonly string[]): string =>
  `deviceclass.resource.kubernetes.io/${className}${selectors.length === 0 ? "" : ` where ${selectors.join(" && ")}`}`;

export function idOf({ driver, pool, device }: { driver: string; pool: string; device: string }): string {
  return `${driver}/${pool}/${device}`;
}

export interface CatalogParts {
  slices: Informer<ResourceSlice>;
  classes: Informer<DeviceClass>;
  compile: typeof compileDeviceSelector;
}

export class DeviceCatalog {
  readonly #parts: CatalogParts;
  readonly #selections = new Map<string, Selection>();
  readonly #devices = new Map<string, NodeDevice>();
  readonly #byNode = new Map<string, NodeDevice[]>();
  #areStale = true;

  constructor(parts: CatalogParts) {
    this.#parts = parts;
  }

  slicesChanged(): void {
    this.#areStale = true;
  }

  /** Its selections mean other devices now. */
  classChanged(changed: string): void {
    const ofClass = Array.from(this.#selections.values()).filter(({ className }) => className === changed);
    for (const { name, className, own } of ofClass) {
      this.#selections.delete(name);
      try {
        this.#select(className, own);
      } catch {
        // Whoever asks for it is told.
      }
    }
  }

  /** Names of nodes that have devices. */
  nodes(): Iterable<string> {
    this.#refresh();
    return this.#byNode.keys();
  }

  find(id: string): NodeDevice | undefined {
    this.#refresh();
    return this.#devices.get(id);
  }

  of(node: string): readonly NodeDevice[] {
    this.#refresh();
    return this.#byNode.get(node) ?? [];
  }

  /** All that were asked for. */
  selections(): Iterable<Selection> {
    this.#refresh();
    return this.#selections.values();
  }

  /** @throws Error in words where the class is not there, or a selector is not understood */
  selectionOf({ deviceClassName, selectors = [] }: DeviceRequest): Selection {
    const own = selectors.flatMap(({ cel }) => cel?.expression ?? []);
    this.#refresh();
    return this.#selections.get(resourceOf(deviceClassName, own)) ?? this.#select(deviceClassName, own);
  }

  #select(className: string, own: readonly string[]): Selection {
    const ofClass = this.#parts.classes.get(undefined, className);
    if (ofClass === undefined) throw new Error(`whose device class ${className} is not there`);
    const all = [...(ofClass.spec?.selectors ?? []).flatMap(({ cel }) => cel?.expression ?? []), ...own];
    const tests = all.map((expression) => {
      try {
        return this.#parts.compile(expression);
      } catch (error) {
        throw new Error(`whose selector ${expression} is not understood: ${(error as Error).message}`, {
          cause: error,
        });
      }
    });
    const matches = ({ selected }: NodeDevice): boolean => tests.every((test) => test(selected));
    const made: Selection = { name: resourceOf(className, own), className, own, matches, members: new Set() };
    this.#enlist(made);
    this.#selections.set(made.name, made);
    return made;
  }

  #enlist(selection: Selection): void {
    selection.members = new Set();
    for (const device of this.#devices.values()) if (selection.matches(device)) selection.members.add(device.id);
  }

  /** Reads the slices anew where some changed: of each pool those of its newest generation, once all are there. */
  #refresh(): void {
    if (!this.#areStale) return;
    this.#areStale = false;
    const pools = new Map<string, ResourceSlice[]>();
    for (const slice of this.#parts.slices.values()) {
      const { driver, pool } = slice.spec!;
      const key = `${driver} ${pool.name}`;
      const known = pools.get(key);
      const newest = known?.[0]!.spec!.pool.generation ?? -1;
      if (known === undefined || pool.generation > newest) pools.set(key, [slice]);
      else if (pool.generation === newest) known.push(slice);
    }
    this.#devices.clear();
    this.#byNode.clear();
    for (const slices of pools.values()) {
      if (slices.length < slices[0]!.spec!.pool.resourceSliceCount) continue;
      for (const slice of slices) this.#read(slice);
    }
    for (const selection of this.#selections.values()) this.#enlist(selection);
  }

  #read({ spec }: ResourceSlice): void {
    const { driver, pool, nodeName: node, devices = [] } = spec!;
    if (node === undefined) return;
    for (const device of devices) {
      if (!isPlain(device)) continue;
      const { name, attributes = {}, capacity = {} } = device;
      const id = idOf({ driver, pool: pool.name, device: name });
      const found = { id, driver, pool: pool.name, name, node, selected: { driver, attributes, capacity } };
      this.#devices.set(id, found);
      const there = this.#byNode.get(node);
      if (there === undefined) this.#byNode.set(node, [found]);
      else there.push(found);
    }
  }
}
