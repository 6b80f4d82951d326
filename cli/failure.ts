// How a command ends other than well: an exit code that scripts can rely on, and what to do about it.
import type { FailureCode, Problem } from "../contracts/failures.ts";

/** Documented in docs/CLI.md and by `berth --help`. */
export const EXIT = {
  ok: 0,
  failed: 1,
  usage: 2,
  signedOut: 3,
  notFound: 4,
  unreachable: 5,
  unfinished: 6,
  detached: 130,
} as const;
export type ExitCode = (typeof EXIT)[keyof typeof EXIT];

/** A failure that is shown as a message and a hint, never as a stack. */
export class CommandFailure extends Error {
  readonly exitCode: ExitCode;
  readonly hint: string | null;
  readonly problem: Problem | null;

  constructor(message: string, exitCode: ExitCode, hint: string | null = null, problem: Problem | null = null) {
    super(message);
    this.exitCode = exitCode;
    this.hint = hint;
    this.problem = problem;
  }
}

const EXIT_OF_CODE: Partial<Record<FailureCode, ExitCode>> = {
  unauthenticated: EXIT.signedOut,
  second_factor_required: EXIT.signedOut,
  forbidden: EXIT.signedOut,
  not_found: EXIT.notFound,
  gone: EXIT.notFound,
  invalid_request: EXIT.usage,
  malformed_json: EXIT.usage,
  payload_too_large: EXIT.usage,
  database_unavailable: EXIT.unreachable,
  overloaded: EXIT.unreachable,
};

const HINT_OF_CODE: Partial<Record<FailureCode, string>> = {
  unauthenticated: "Sign in with `berth login`.",
  // Why is in the refusal: a role, a token's scopes, an operator's entry, a team's own sign-in.
  forbidden: "`berth whoami` shows as whom you ask, in which team and with which role.",
  rate_limited: "Wait a minute, then try again.",
  database_unavailable: "Apps keep serving. Try again in a moment; `berth doctor` looks for the cause.",
};

/** What the API says of one field it also says as a whole: once is enough. A sentence needs no name of a field before it. */
function faultsText({ detail, errors = [] }: Problem): string {
  const lines = errors.map(({ pointer, message }) =>
    /^[A-Z]/.test(message) && message.endsWith(".") ? message : `${pointer.replace(/^\//, "") || "it"}: ${message}`,
  );
  const [first, ...more] = lines;
  if (first === undefined) return detail;
  const isSame = errors.some(({ message }) => detail.endsWith(message));
  return isSame ? [first, ...more].join("\n  ") : [detail, ...lines].join("\n  ");
}

/** A problem+json answer as a failure of the command. */
export function failureOfProblem(problem: Problem): CommandFailure {
  return new CommandFailure(
    faultsText(problem),
    EXIT_OF_CODE[problem.code] ?? EXIT.failed,
    HINT_OF_CODE[problem.code] ?? null,
    problem,
  );
}
