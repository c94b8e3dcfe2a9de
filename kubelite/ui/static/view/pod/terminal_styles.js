// xterm writes its rules into style elements and colours into style attributes. The page's policy
// allows neither, since whoever gets markup into a page would use the same. What scripts set
// through style sheets and properties of their own is allowed, so that the style elements and
// attributes that scripts ask for are made of these.

let isReady = false;

/**
 * From now on `createElement("style")` and `setAttribute("style")` of spans work under the policy.
 */
export function styleByScript(document) {
  if (isReady) return;
  isReady = true;
  document.createElement = (name, options) => {
    if (name === "style") return sheetElement(document);
    const element = Document.prototype.createElement.call(document, name, options);
    if (name === "span") element.setAttribute = setAttribute;
    return element;
  };
}

function setAttribute(name, value) {
  if (name === "style") this.style.cssText = value;
  else Element.prototype.setAttribute.call(this, name, value);
}

/** An element whose text is a style sheet of the document until the element is removed. */
function sheetElement(document) {
  const sheet = new CSSStyleSheet();
  const element = document.createElement("span");
  element.hidden = true;
  document.adoptedStyleSheets.push(sheet);
  Object.defineProperty(element, "textContent", { set: (rules) => sheet.replaceSync(rules) });
  element.remove = () => {
    document.adoptedStyleSheets = document.adoptedStyleSheets.filter((other) => other !== sheet);
    Element.prototype.remove.call(element);
  };
  return element;
}
