/** An element that shows a checkpoint, and edits its keys unless it is readonly. */
export interface WeightroomViewerElement extends HTMLElement {
  addEventListener<K extends keyof WeightroomEvents>(type: K, listener: (ev: WeightroomEvents[K]) => void, options?: boolean | AddEventListenerOptions): void;
  addEventListener(type: string, listener: EventListenerOrEventListenerObject, options?: boolean | AddEventListenerOptions): void;
}

export interface WeightroomEvents {
  /** A checkpoint was opened. `nbytes` counts the bytes of all tensors. A file of the user's own computer is `local` and stays unnamed. */
  "weightroom-open": CustomEvent<{ name: string; format: string; keys: number; nbytes: number; local: boolean }>;
  "weightroom-error": CustomEvent<{ code: string; message: string }>;
  /** A key of a file from a server was selected. */
  "weightroom-select": CustomEvent<{ key: string; dtype: string; shape: string }>;
  /** The user saved a file; its bytes went to the user alone. */
  "weightroom-export": CustomEvent<{ name: string; size: number }>;
}

export interface WeightroomViewerAttributes {
  /** Address of a checkpoint, or of a *.index.json with its shards beside it. Its server has to allow ranges and this viewer's origin. */
  src?: string;
  /** A recipe to apply: the address of a document, or the JSON or YAML itself. */
  recipe?: string;
  /** CSS pixels, any CSS length, or "auto" to follow the rows. 480 when absent. */
  height?: string | number;
  /** "light", "dark", or absent to follow the page. */
  theme?: "light" | "dark" | "auto";
  lang?: string;
  /** Present: nothing is edited or exported. */
  readonly?: boolean | "";
  /** Folder of embed.html. */
  viewer?: string;
}

/** undefined where there are no elements, as in Node. */
export const WeightroomViewer: { new (): WeightroomViewerElement; viewer: string | undefined } | undefined;

/** Names the folder of embed.html for all elements without the attribute viewer. */
export function setViewer(folder: string): void;

declare global {
  interface HTMLElementTagNameMap {
    "weightroom-viewer": WeightroomViewerElement;
  }
}
