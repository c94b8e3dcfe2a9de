// What the user may do, asked once for each verb, kind and namespace: buttons for other things are
// not shown.

import { ApiError, sendJson } from "./http.js";

const REVIEWS = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews";
const answers = new Map();

/** Whether a verb on a resource (or "pods/exec") is allowed in a namespace. */
export function may(verb, resource, namespace = "", subresource = "") {
  const attributes = {
    verb,
    group: resource.group,
    resource: resource.plural,
    subresource,
    namespace,
  };
  const key = JSON.stringify(attributes);
  if (!answers.has(key))
    answers.set(
      key,
      ask(attributes).catch((error) => {
        answers.delete(key);
        throw error;
      }),
    );
  return answers.get(key);
}

async function ask(resourceAttributes) {
  const review = {
    apiVersion: "authorization.k8s.io/v1",
    kind: "SelfSubjectAccessReview",
    spec: { resourceAttributes },
  };
  try {
    return (await sendJson("POST", REVIEWS, review)).status.allowed;
  } catch (error) {
    // The local engine has no authorization: whoever reaches it may do everything it can do.
    if (error instanceof ApiError && error.code === 404) return true;
    throw error;
  }
}
