/** Completion for bash: one case per place in the tree. Needs nothing but bash 3. */
import { type Node, nameOf, walk } from './tree';

export function bashScript(root: Node): string {
  const cases = [...walk(root)].map((node) => {
    const words = node.children.length > 0 ? node.children.map(nameOf) : node.flags.map((flag) => flag.name);
    return `    '${node.path.join(' ')}') words='${words.join(' ')}' ;;`;
  });
  const values = new Map(
    [...walk(root)].flatMap((node) =>
      node.flags.filter((flag) => flag.words.length > 0).map((flag) => [flag.name, flag.words]),
    ),
  );
  const valueCases = [...values].map(
    ([name, words]) => `    ${name}) COMPREPLY=($(compgen -W '${words.join(' ')}' -- "$current")); return ;;`,
  );
  return `# bash completion for flm. Use: source <(flm completions bash)
_flm() {
  local current=\${COMP_WORDS[COMP_CWORD]} previous=\${COMP_WORDS[COMP_CWORD-1]} path='' words='' word
  case "$previous" in
${valueCases.join('\n')}
  esac
  for word in "\${COMP_WORDS[@]:1:COMP_CWORD-1}"; do
    case "$word" in -*) break ;; *) path="\${path:+$path }$word" ;; esac
  done
  case "$path" in
${cases.join('\n')}
  esac
  COMPREPLY=($(compgen -W "$words" -- "$current"))
}
complete -o default -F _flm flm
`;
}
