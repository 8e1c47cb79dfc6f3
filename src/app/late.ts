/** What only a running proxy needs is made when the first one starts: most commands just look at the data directory. */
export interface Late<Thing> {
  /** It; made now, unless it is there. */
  open(): Thing;
  /** Null before anybody needed it. */
  current(): Thing | null;
}

export function late<Thing extends object>(make: () => Thing): Late<Thing> {
  let thing: Thing | null = null;
  return {
    open() {
      thing ??= make();
      return thing;
    },
    current: () => thing,
  };
}
