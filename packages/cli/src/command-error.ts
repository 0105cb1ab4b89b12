/** An error for the person at the terminal: its message says what, where and what would be right. */
export class CommandError extends Error {
  override name = "CommandError";
  readonly exitCode: number;

  constructor(message: string, exitCode = 1) {
    super(message);
    this.exitCode = exitCode;
  }
}

/** There is no cluster to speak to. */
export class NoClusterError extends CommandError {
  override name = "NoClusterError";
}
