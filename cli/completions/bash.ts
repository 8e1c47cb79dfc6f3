/** Completion for bash: one case per place in the tree. Needs nothing but bash 3. */
import { type Flag, type Node, nameOf, walk } from './tree';

export function bashScript(root: Node): string {
  const nodes = [...walk(root)];
  const places = nodes.filter((node) => node.path.length > 0).map((node) => `'${node.path.join(' ')}'`);
  const cases = nodes.map((node) => {
    const words = [...node.children.map(nameOf), ...node.words, ...node.flags.map((flag) => flag.name)];
    return `    '${node.path.join(' ')}') words='${words.join(' ')}' ;;`;
  });
  return `# bash completion for flm. Use: source <(flm completions bash)
_flm() {
  local current=\${COMP_WORDS[COMP_CWORD]} previous=\${COMP_WORDS[COMP_CWORD-1]} path='' words='' word
  # bash splits --format=json into three words.
  if [ "$previous" = '=' ]; then previous=\${COMP_WORDS[COMP_CWORD-2]}; fi
  if [ "$current" = '=' ]; then current=''; fi
  case "$previous" in
${valueCases(nodes.flatMap((node) => node.flags)).join('\n')}
  esac
  for word in "\${COMP_WORDS[@]:1:COMP_CWORD-1}"; do
    case "\${path:+$path }$word" in
    ${places.join('|')}) path="\${path:+$path }$word" ;;
    *) break ;;
    esac
  done
  case "$path" in
${cases.join('\n')}
  esac
  COMPREPLY=($(compgen -W "$words" -- "$current"))
}
complete -o default -F _flm flm
`;
}

/** What stands after an option: its words, or what bash itself offers (files). */
function valueCases(flags: readonly Flag[]): string[] {
  const taking = new Map(flags.filter((flag) => flag.takesValue).map((flag) => [flag.name, flag.words]));
  return [...taking].map(([name, words]) =>
    words.length === 0
      ? `    ${name}) return ;;`
      : `    ${name}) COMPREPLY=($(compgen -W '${words.join(' ')}' -- "$current")); return ;;`,
  );
}
