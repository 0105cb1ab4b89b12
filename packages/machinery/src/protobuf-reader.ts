/** The wire format of protobuf: tags, varints, lengths. */
import { badRequest } from "./status-error.ts";

export function malformed(what: string): Error {
  return badRequest(`the protobuf body cannot be read: ${what}`);
}

/** Reads the fields of one message, from `start` to `end` of a buffer. */
export class ProtobufReader {
  readonly #bytes: Buffer;
  readonly #end: number;
  #position: number;

  constructor(bytes: Buffer, start = 0, end = bytes.length) {
    this.#bytes = bytes;
    this.#position = start;
    this.#end = end;
  }

  get empty(): boolean {
    return this.#position >= this.#end;
  }

  /** Number and wire type of the next field. */
  tag(): { number: number; wireType: number } {
    const tag = this.#small();
    return { number: tag >>> 3, wireType: tag & 7 };
  }

  /** A varint below 2^31: tags and lengths. */
  #small(): number {
    let value = 0;
    for (let shift = 0; shift < 35; shift += 7) {
      const byte = this.#byte();
      value += (byte & 0x7f) * 2 ** shift;
      if (byte < 0x80) return value;
    }
    throw malformed("a number is too long");
  }

  #byte(): number {
    if (this.#position >= this.#end) throw malformed("it ends in the middle of a field");
    return this.#bytes[this.#position++]!;
  }

  /** A signed 64-bit varint; beyond 2^53 the nearest double, as in JSON. */
  integer(): number {
    let low = 0;
    for (let shift = 0; shift < 28; shift += 7) {
      const byte = this.#byte();
      low += (byte & 0x7f) * 2 ** shift;
      if (byte < 0x80) return low;
    }
    let value = BigInt(low);
    for (let shift = 28n; shift < 70n; shift += 7n) {
      const byte = this.#byte();
      value |= BigInt(byte & 0x7f) << shift;
      if (byte < 0x80) return Number(BigInt.asIntN(64, value));
    }
    throw malformed("a number is too long");
  }

  double(): number {
    const value = this.#slice(8).readDoubleLE();
    return value;
  }

  bytes(): Buffer {
    return this.#slice(this.#small());
  }

  #slice(length: number): Buffer {
    const start = this.#position;
    if (length > this.#end - start) throw malformed("a field is longer than its message");
    this.#position += length;
    return this.#bytes.subarray(start, start + length);
  }

  skip(wireType: number): void {
    if (wireType === 0) this.integer();
    else if (wireType === 1) this.#slice(8);
    else if (wireType === 2) this.bytes();
    else if (wireType === 5) this.#slice(4);
    else throw malformed(`wire type ${wireType}`);
  }
}
