#pragma once

#include "street_raster.hpp"
#include "street_view.hpp"

/// The things that stand in a street, as surfaces.
namespace ams::street {

enum class TreeKind { round, tall, conifer, bush };

struct CarLook {
  Vec3 paint;
  int body = 0;  ///< 0 saloon, 1 hatchback, 2 off-roader, 3 van
  bool lights = false;
  bool braking = false;
  std::uint32_t hash = 0;
};

struct PersonLook {
  Vec3 coat, trousers, skin, hair;
  float height = 1.72f;
  float phase = 0;  ///< of the walk, radians
  bool umbrella = false;
  bool skirt = false;
  std::uint32_t hash = 0;
};

/// What stands where: z0 to z1 along the road, t_front to t_back across, `height` to the eaves.
struct BuildingPlan {
  float z0 = 0, z1 = 0, t_front = 0, t_back = 0, height = 6;
  float storey = 3, bay = 3;
  int style = 0;  ///< FacadeStyle
  bool shop = false;
  float roof_height = 0;  ///< above 0: pitched
  bool ridge_across = false;
  Vec3 wall, trim, roof, accent;
  std::uint32_t hash = 0;
};

enum FacadeStyle {
  siding = 0,
  brick = 1,
  glass = 2,
  sheet = 3,
  plaster = 4,
  style_mask = 7,
  shop_flag = 8,
  side_flag = 16
};

void draw_building(const View& view, Raster& raster, const BuildingPlan& plan);
void draw_tree(const View& view, Raster& raster, float z, float t, TreeKind kind, float height,
               Vec3 leaf, Dice dice);
void draw_hedge(const View& view, Raster& raster, float z0, float z1, float t, float height,
                Vec3 leaf, Dice dice);
void draw_car(const View& view, Raster& raster, float z, float t, Vec3 forward,
              const CarLook& look);
void draw_person(const View& view, Raster& raster, float z, float t, Vec3 forward,
                 const PersonLook& look);
void draw_lamp(const View& view, Raster& raster, float z, float side, bool modern);
void draw_traffic_light(const View& view, Raster& raster, float z, float side, int phase);
void draw_sign(const View& view, Raster& raster, float z, float t, std::uint32_t hash);

}  // namespace ams::street
