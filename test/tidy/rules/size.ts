// Rule: a file has at most 300 lines and a function at most 70, so that each can be read in one sitting.
import { type AstNode, type Finding, isNode, type SourceFile, walk } from "../source-file.ts";

const fileLinesMax = 300;
const functionLinesMax = 70;

export function size(file: SourceFile): Finding[] {
  const rule = "size";
  const findings: Finding[] = [];
  const lines = file.text.split("\n").length - (file.text.endsWith("\n") ? 1 : 0);
  if (lines > fileLinesMax) {
    const message = `${lines} lines, at most ${fileLinesMax}`;
    findings.push({ rule, path: file.path, line: fileLinesMax + 1, message });
  }
  walk(file.program, (node, ancestors) => {
    if (!isFunction(node) || isSuite(ancestors.at(-1))) return;
    const line = file.lineAt(node.start);
    const length = file.lineAt(node.end) - line + 1;
    if (length <= functionLinesMax) return;
    findings.push({
      rule,
      path: file.path,
      line,
      message: `a function of ${length} lines, at most ${functionLinesMax}`,
    });
  });
  return findings;
}

function isFunction({ type }: AstNode): boolean {
  return type === "FunctionDeclaration" || type === "FunctionExpression" || type === "ArrowFunctionExpression";
}

/** A `describe` holds tests, as a file does: it is a heading, not a function. */
function isSuite(parent: AstNode | undefined): boolean {
  if (parent?.type !== "CallExpression" || !isNode(parent.callee)) return false;
  const { callee } = parent;
  return callee.name === "describe" || (isNode(callee.object) && callee.object.name === "describe");
}
