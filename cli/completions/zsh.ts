/** Completion for zsh, with what each command and option is for. */
import { type Node, nameOf } from './tree';

export function zshScript(root: Node): string {
  return `#compdef flm
# zsh completion for flm. Use: flm completions zsh > "\${fpath[1]}/_flm"
${functionsFor(root).join('\n')}
if [ "$funcstack[1]" = "_flm" ]; then _flm "$@"; else compdef _flm flm; fi
`;
}

function functionsFor(node: Node): string[] {
  return [functionFor(node), ...node.children.flatMap(functionsFor)];
}

function functionFor(node: Node): string {
  if (node.children.length === 0) {
    const specs = node.flags.map((flag) => {
      const value = flag.takesValue
        ? `:value:${flag.words.length > 0 ? `(${flag.words.join(' ')})` : '_files'}`
        : '';
      return `    ${quote(`${flag.name}[${flag.about.replaceAll(/[[\]\\]/g, '\\$&')}]${value}`)}`;
    });
    const word = node.words.length === 0 ? [] : [`    ${quote(`1:word:(${node.words.join(' ')})`)}`];
    const all = [...specs, ...word, "    '*:word:_files'"];
    return `${functionName(node)}() {\n  _arguments \\\n${all.join(' \\\n')}\n}`;
  }
  const commands = node.children.map(
    (child) => `    ${quote(`${nameOf(child)}:${child.about.replaceAll(/[:\\]/g, '\\$&')}`)}`,
  );
  const branches = node.children.map((child) => `      ${nameOf(child)}) ${functionName(child)} ;;`);
  return `${functionName(node)}() {
  local -a commands=(
${commands.join('\n')}
  )
  local line state
  _arguments -C '1: :->command' '*:: :->rest'
  case $state in
    command) _describe command commands ;;
    rest) case $line[1] in
${branches.join('\n')}
    esac ;;
  esac
}`;
}

function functionName(node: Node): string {
  return ['_flm', ...node.path].join('_').replaceAll('-', '_');
}

function quote(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`;
}
