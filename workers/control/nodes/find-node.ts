// Which node a request names, and the Cell that owns it. Postgres knows in which cell a node is; the Cell knows all else.
import type { Node } from "../../../contracts/api.ts";
import type { Result } from "../../../contracts/failures.ts";
import { findNode, type NodeRecord } from "../../../db/queries/nodes.ts";
import type { CellRpc } from "../../../durable-objects/rpc.ts";
import type { ControlEnv } from "../env.ts";
import { ask } from "../http/ask.ts";
import { databaseOf } from "../http/database.ts";
import { fail } from "../http/problem.ts";
import { unwrap } from "../http/respond.ts";

/** removed: one that was removed may be meant too, where no other has the name. */
export async function nodeOf(env: ControlEnv, idOrName: string, options: { removed?: boolean } = {}) {
  const node = await findNode(databaseOf(env), idOrName, options);
  return node ?? fail("not_found", `There is no node ${idOrName}.`);
}

/** Every method of a Cell about a node may be repeated: it says what is to be so. */
export async function askCell<Value>(
  env: Pick<ControlEnv, "CELL">,
  { cell }: Pick<NodeRecord, "cell">,
  call: (object: CellRpc) => Promise<Result<Value>>,
): Promise<Value> {
  return unwrap(await ask(() => call(env.CELL.getByName(cell) as unknown as CellRpc), { repeatable: true }));
}

export const readNode = (env: ControlEnv, node: NodeRecord): Promise<Node> =>
  askCell(env, node, (cell) => cell.readNode({ node: node.id }));
