// What doctor says of one thing that it looked at.

export interface Finding {
  readonly check: string;
  readonly ok: boolean;
  readonly detail: string;
  /** What mends it, or says more; null where nothing is wrong. */
  readonly mend: string | null;
}

export const fine = (check: string, detail: string): Finding => ({ check, ok: true, detail, mend: null });
export const fault = (check: string, detail: string, mend: string): Finding => ({ check, ok: false, detail, mend });
