/** What can be wrong with a database of accounting. */

/**
 * What is in the way of a database. `isPassing`: another try may go well without that the caller changes anything (no connection, a
 * full disk), so that what was to be written waits.
 */
export class AccountingTrouble extends Error {
  readonly isPassing: boolean;

  constructor(message: string, isPassing: boolean, options?: ErrorOptions) {
    super(message, options);
    this.name = "AccountingTrouble";
    this.isPassing = isPassing;
  }
}

export function isPassingTrouble(error: unknown): boolean {
  return error instanceof AccountingTrouble && error.isPassing;
}

export function newerFormat(found: number, known: number): Error {
  return new AccountingTrouble(
    `the accounting database has format ${found}; this Berth knows up to ${known}: use the newer Berth that wrote it`,
    false,
  );
}
