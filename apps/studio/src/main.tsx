import { render } from "preact";
import { App } from "./components/app";
import { followAddress } from "./state/address";
import { startLoading } from "./state/loading";
import { followViews } from "./state/pictures";
import "./style.css";

followAddress();
followViews();
render(<App />, document.getElementById("app")!);
void startLoading();
