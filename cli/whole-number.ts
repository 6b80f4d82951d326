// Parses a count given on the command line.
import { InvalidArgumentError } from "@commander-js/extra-typings";

/** A whole number of zero or more; anything else is a usage error that names the flag. */
export function wholeNumber(text: string): number {
  if (!/^\d{1,9}$/.test(text)) throw new InvalidArgumentError("It must be a whole number.");
  return Number(text);
}
