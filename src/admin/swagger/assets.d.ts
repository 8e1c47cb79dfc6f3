/** Types for files that are embedded: their path, or their text. */
declare module 'swagger-ui-dist/swagger-ui-bundle.js' {
  const path: string;
  export default path;
}
declare module 'swagger-ui-dist/swagger-ui.css' {
  const path: string;
  export default path;
}
declare module '*.client.js' {
  const text: string;
  export default text;
}
