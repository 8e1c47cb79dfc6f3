/** Types for what the compiler cannot see: the embedded addon and the cipher calls of SQLite Multiple Ciphers. */
declare module 'flm:sqlite-addon' {
  /** Path of the prebuilt SQLite inside the executable; build.ts resolves it for the platform it builds for. */
  const path: string;
  export default path;
}
