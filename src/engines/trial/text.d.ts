/** Files that Bun embeds as text (`with { type: 'text' }`): the launcher and the chat template. */
declare module '*.py' {
  const text: string;
  export default text;
}

declare module '*.jinja' {
  const text: string;
  export default text;
}
