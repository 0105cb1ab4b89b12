/** What found no room in a pass says of what asks for as much or more. */
import type { NodeTable } from "./nodes.ts";
import type { Group, Shape } from "./shape.ts";

/**
 * Shapes of which not one pod found room anywhere, the smallest only. As long as nothing becomes free, whoever may use no other nodes,
 * asks for no less of anything and for no shorter time finds none either, and need not be looked at.
 */
export class Refusals {
  readonly #table: NodeTable;
  readonly #byPlace = new Map<string, { request: readonly number[]; seconds: number }[]>();

  constructor(table: NodeTable) {
    this.#table = table;
  }

  /** Whether it is known that the shape has no room. */
  covers(shape: Shape): boolean {
    const group = onlyGroup(shape);
    const smaller = group && this.#byPlace.get(shape.place);
    if (smaller === undefined) return false;
    for (let index = 0; index < smaller.length; index += 1) {
      const one = smaller[index]!;
      if (one.seconds > shape.minSlotSeconds || !isWithin(one.request, group!.request)) continue;
      group!.window.skip(this.#table.risen);
      // Who says it of one says it of many.
      smaller[index] = smaller[0]!;
      smaller[0] = one;
      return true;
    }
    return false;
  }

  /** The shape found no room. */
  add(shape: Shape): void {
    const group = onlyGroup(shape);
    if (group === undefined || !isPlain(shape, group)) return;
    const { request } = group;
    const seconds = shape.minSlotSeconds;
    const known = this.#byPlace.get(shape.place) ?? [];
    const rest = known.filter((other) => other.seconds < seconds || !isWithin(request, other.request));
    rest.push({ request, seconds });
    this.#byPlace.set(shape.place, rest);
  }
}

function onlyGroup({ variants }: Shape): Group | undefined {
  return variants.length === 1 && variants[0]!.groups.length === 1 ? variants[0]!.groups[0] : undefined;
}

/** Whether nothing but amounts and time decides where one pod of it goes. */
function isPlain({ input, concernsPods }: Shape, { minPods, needs, exclusive }: Group): boolean {
  const isFree = input.topology === undefined && input.licences === undefined && !concernsPods;
  return minPods === 1 && needs === undefined && !exclusive && isFree;
}

function isWithin(request: readonly number[], other: readonly number[]): boolean {
  for (let index = 0; index < request.length; index += 1) if (request[index]! > other[index]!) return false;
  return true;
}
