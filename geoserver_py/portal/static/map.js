// The drawn map. Where it cannot be drawn, the reason in words that say what to do.

import { root, transformRequest } from "./service.js";

const LOCAL_FONT =
  '"Noto Sans CJK SC", "Source Han Sans SC", "PingFang SC", "Microsoft YaHei", "SimSun-ExtB", "HanaMinB", sans-serif';
const LOCALE = {
  "NavigationControl.ZoomIn": "放大 Zoom in",
  "NavigationControl.ZoomOut": "缩小 Zoom out",
  "NavigationControl.ResetBearing": "转回正北 Reset bearing to north",
  "AttributionControl.ToggleAttribution": "来源 Attribution",
  "ScaleControl.Meters": "m",
  "ScaleControl.Kilometers": "km",
};

/** No map can be drawn here; `said` is what notice.js tells. */
export class NoMap extends Error {
  constructor(said) {
    super(`${said.zh} ${said.en}`);
    this.said = said;
  }
}

const noWebGL = (why) =>
  new NoMap({
    zh: "浏览器没有 WebGL，不能画地图",
    en: "This browser has no WebGL: no map can be drawn",
    steps: [
      ["图层列表、搜索和坐标仍可使用。", "The layer list, search and positions work without it."],
      [
        "在浏览器设置里打开“使用图形加速”（硬件加速），重启浏览器。",
        "Turn on graphics (hardware) acceleration in the browser's settings and restart it.",
      ],
      [
        "双核浏览器切换到极速模式，或换用新版 Edge、Chrome、Firefox。",
        "Use a current Edge, Chrome or Firefox.",
      ],
      [
        "远程桌面或没有显卡的机器：在本机打开，或用 QGIS 连接本服务。",
        "On a remote desktop, open it on your own machine, or connect QGIS to this service.",
      ],
    ],
    why,
  });

function requireWebGL() {
  const context = document.createElement("canvas").getContext("webgl2");
  if (!context) throw noWebGL();
  context.getExtension("WEBGL_lose_context")?.loseContext(); // browsers keep few of them
}

/** The map library and a map of `style` in `container`; throws NoMap. */
export async function drawMap(container, style) {
  requireWebGL();
  let library;
  try {
    library = await import("./maplibre/maplibre-gl.mjs");
  } catch (failed) {
    throw new NoMap({
      zh: "地图程序没有读到", en: "The map's program was not read", why: failed.message,
      steps: [[`请重试；仍不行，请告诉管理员：${new URL("portal/maplibre/", root).pathname} 没有应答。`,
        "Retry; else tell the operator that its files are missing."]],
    });
  }
  try {
    const map = new library.Map({
      container,
      style,
      hash: "map",
      center: style.center,
      zoom: style.zoom,
      maxZoom: 22,
      localIdeographFontFamily: LOCAL_FONT,
      locale: LOCALE,
      transformRequest,
      attributionControl: { compact: true },
    });
    map.addControl(new library.NavigationControl({ visualizePitch: false }), "bottom-right");
    map.addControl(new library.ScaleControl({ maxWidth: 120 }), "bottom-left");
    return { map, marker: new library.Marker({ color: "#c8462f" }) };
  } catch (failed) {
    // a context that a first canvas gets may be refused to the map's own, with antialiasing
    throw noWebGL(failed.message);
  }
}
