/** Turns of the event loop: long work is done in pieces, so that others are served in between. */

const pieceMilliseconds = 3;

/** One piece of work after the other, each as long as others may wait. */
export class Pieces {
  private end = performance.now() + pieceMilliseconds;

  /** The piece has lasted long enough: whoever works gives the event loop away, and goes on in a new one. */
  get isOver(): boolean {
    return performance.now() > this.end;
  }

  begin(): void {
    this.end = performance.now() + pieceMilliseconds;
  }
}

/** Resolves in the next turn of the event loop, after what has come meanwhile. */
export function nextTurn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

/** Resolves when all that goes on without waiting, what was just resolved among it, is done. */
export function nextTick(): Promise<void> {
  return new Promise((resolve) => process.nextTick(resolve));
}

const waiting: (() => void)[] = [];
let piece: Pieces | undefined;

/**
 * Lets requests that came in one turn of the event loop be served in several, in the order in which they came. Undefined: there is
 * time in this turn; else resolves when there is.
 */
export function timeInTurn(): Promise<void> | undefined {
  if (piece === undefined) {
    piece = new Pieces();
    setImmediate(() => void serveWaiting());
  }
  if (waiting.length === 0 && !piece.isOver) return undefined;
  return new Promise((resolve) => waiting.push(resolve));
}

async function serveWaiting(): Promise<void> {
  while (waiting.length > 0) {
    piece!.begin();
    for (let next = 0; ; next++) {
      if (next === waiting.length || piece!.isOver) {
        waiting.splice(0, next);
        break;
      }
      waiting[next]!();
      await nextTick();
    }
    if (waiting.length > 0) await nextTurn();
  }
  piece = undefined;
}
