// What a copy of an object's state is made of, and what an object is told when it is made from one.
import type { AppId } from "../../contracts/ids.ts";

export interface CopyRow {
  readonly table: string;
  readonly key: string;
  readonly value: unknown;
}

/** copy: null begins one; its further pages name it. */
export interface DumpInput {
  readonly copy: string | null;
  readonly page: number;
}

/** text: lines of `[table, key, value]`. layout: of the object's storage. */
export interface CopyPage {
  readonly copy: string;
  readonly layout: number;
  readonly rows: number;
  readonly pages: number;
  readonly text: string;
}

export interface LoadInput {
  readonly backup: string;
  readonly page: number;
  readonly pages: number;
  readonly layout: number;
  readonly text: string;
  /** Events up to here are in Postgres, or never will be: the object's next one follows on it. */
  readonly eventSeq: number;
  /** Of a Cell: Apps that believe they have instances here, whatever its own rows say. */
  readonly apps?: readonly AppId[];
}
