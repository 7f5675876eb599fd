// Says so when the portal itself cannot start. No module, and in the language of old browsers,
// which cannot read the modules; portal.js sets data-started and tells all further failures.
(function () {
  var told = false;
  function tell(reason) {
    var page = document.documentElement;
    if (told || page.getAttribute("data-started")) return;
    var box = document.getElementById("notice");
    if (!box) {
      document.addEventListener("DOMContentLoaded", function () { tell(reason); });
      return;
    }
    told = true;
    var again = document.createElement("button");
    box.innerHTML =
      "<h2>门户没有启动 <small>The portal did not start</small></h2>" +
      "<p>程序文件没有读到，或浏览器太旧。请重试；仍不行，请更新浏览器（Chrome、Edge、Firefox 近两年的版本，" +
      "双核浏览器用极速模式）。</p>" +
      "<p><small>A program file was not read, or the browser is too old. Retry; then update the browser." +
      "</small></p><p class='why'></p>";
    box.lastChild.textContent = reason;
    again.textContent = "重试 Retry";
    again.className = "main";
    again.onclick = function () { location.reload(); };
    box.appendChild(again);
    box.hidden = false;
    document.getElementById("drawing").hidden = true;
  }
  addEventListener("error", function (event) {
    var from = event.target || {};
    if (from.tagName === "SCRIPT") tell(from.src);
    else if (from === window || !from.tagName) tell(event.message || "");
  }, true);
  addEventListener("unhandledrejection", function (event) {
    tell(String((event.reason && event.reason.message) || event.reason));
  });
  if (!("noModule" in document.createElement("script"))) tell(navigator.userAgent);
})();
