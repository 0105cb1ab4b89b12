/** What is asked of both, as data. */

/**
 * A case: a command line of sbatch, and what is looked at. In words, script and commands `{id}` stands for the job's own id, `{id:NAME}` for
 * that of another case, `{folder}` for the case's folder.
 */
export interface Case {
  name: string;
  /** Words of sbatch before the script, or `--wrap`. */
  words: string[];
  /** Text of the script `job.sh`; `wrap`: given by --wrap. With neither nothing follows the words. */
  script?: string;
  wrap?: string;
  /** Words behind the script. */
  arguments?: string[];
  input?: string;
  environment?: Record<string, string>;
  /** Further files in the case's folder. */
  files?: Record<string, string>;
  /**
   * What becomes of it. `Refused`: sbatch's words are compared. `Held`: it is submitted with --hold, looked at, and cancelled. `Run`: it runs to
   * its end; state, exit code and files are compared.
   */
  kind: "Refused" | "Held" | "Run";
  /** Commands while it runs (of held ones: while it is held), in turn; code and output are compared. */
  acts?: string[][];
  /** Also looked at: variables that the job printed into file `environment`. */
  seesEnvironment?: boolean;
}

/** A command that is compared by itself: when no job is there yet, or when all have ended. */
export interface Question {
  name: string;
  words: string[];
  input?: string;
  environment?: Record<string, string>;
  when: "First" | "Last";
  /** Only this of standard output is compared: its lines that match. */
  only?: string;
}

/** What one side did in a case: by what was looked at. */
export type Observation = Record<string, string>;
