/** Completion for fish: a condition and a word per line. */
import { type Node, nameOf, walk } from './tree';

export function fishScript(root: Node): string {
  const lines = [...walk(root)].flatMap((node) => [
    ...node.children.map(
      (child) =>
        `complete -c flm -f -n ${quote(condition(node))} -a ${nameOf(child)} -d ${quote(child.about)}`,
    ),
    ...(node.words.length === 0
      ? []
      : [`complete -c flm -f -n ${quote(condition(node))} -a ${quote(node.words.join(' '))}`]),
    ...node.flags.map((flag) => {
      const value = flag.takesValue
        ? ` -r${flag.words.length > 0 ? ` -f -a ${quote(flag.words.join(' '))}` : ''}`
        : '';
      return `complete -c flm -n ${quote(condition(node))} -l ${flag.name.slice(2)}${value} -d ${quote(flag.about)}`;
    }),
  ]);
  return `# fish completion for flm. Use: flm completions fish > ~/.config/fish/completions/flm.fish\n${lines.join('\n')}\n`;
}

/** Holds at the node's own place: all its words were typed and none of its children's. */
function condition(node: Node): string {
  const children = node.children.map(nameOf);
  const seen = node.path.map((word) => `__fish_seen_subcommand_from ${word}`);
  const next = children.length === 0 ? [] : [`not __fish_seen_subcommand_from ${children.join(' ')}`];
  return [...seen, ...next].join('; and ');
}

function quote(text: string): string {
  return `'${text.replaceAll('\\', '\\\\').replaceAll("'", "\\'")}'`;
}
